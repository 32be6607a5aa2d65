"""Metrics by name: every file of this folder that names a class METRIC."""

import importlib
import inspect
import pkgutil
from typing import Any

from densevos.base.errors import InputError
from densevos.base.outside import from_outside, is_outside
from densevos_eval import metrics
from densevos_eval.metrics.metric import Metric
from densevos_eval.metrics.sequence_metric import Benchmark, SequenceMetric
from densevos_eval.metrics.shot_metric import ShotMetric

MetricClass = type[Metric[Any]]


def metric_classes() -> dict[str, MetricClass]:
    """The metrics of this folder by name."""
    found: dict[str, MetricClass] = {}
    for info in pkgutil.iter_modules(metrics.__path__):
        module = importlib.import_module(f"{metrics.__name__}.{info.name}")
        metric = getattr(module, "METRIC", None)
        if metric is not None:
            found[metric.name] = metric

    return found


def find_metric(name: str) -> MetricClass:
    """The metric of this name, or `module:NAME` from outside the repository.

    Raises:
        InputError: There is no such metric.
    """
    if is_outside(name):
        found = from_outside(name, "--metric")
        if not (isinstance(found, type) and issubclass(found, Metric)) or inspect.isabstract(found):
            raise InputError(
                f"--metric {name}: is no metric; name a class that extends Metric and defines all of it"
            )

        return found

    known = metric_classes()
    if name not in known:
        raise InputError(
            f"--metric {name}: is none of {', '.join(known)}; name one of these, or module:NAME of your own"
        )

    return known[name]


def find_sequence_metric(name: str) -> type[SequenceMetric]:
    """The metric of this name, which scores benchmarks; InputError if there is none or it does
    not.
    """
    found = find_metric(name)
    if not issubclass(found, SequenceMetric):
        raise InputError(
            f"--metric {name}: scores labelled sets, not benchmarks; name the set with --set SET:ROOT"
        )

    return found


def find_shot_metric(name: str) -> type[ShotMetric]:
    """The metric of this name, which scores labelled sets; InputError if there is none or it does
    not.
    """
    found = find_metric(name)
    if not issubclass(found, ShotMetric):
        raise InputError(
            f"--metric {name}: scores benchmarks, not labelled sets; name one with --dataset and --root"
        )

    return found


def benchmark_metric(benchmark: Benchmark) -> SequenceMetric:
    """The metric that the benchmark asks for, bound to its rules."""
    return find_sequence_metric(benchmark.measure)(benchmark=benchmark)
