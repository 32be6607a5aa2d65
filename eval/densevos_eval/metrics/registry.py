"""Metrics by name: every file of this folder that names a class METRIC."""

import importlib
import pkgutil
from typing import Any

from densevos.base.errors import InputError
from densevos.base.outside import from_outside, is_outside
from densevos_eval import metrics
from densevos_eval.metrics.metric import Metric
from densevos_eval.metrics.sequence_metric import Benchmark, SequenceMetric
from densevos_eval.sequences import Sequence

MetricClass = type[Metric[Any]]


def metric_classes() -> dict[str, MetricClass]:
    """The metrics of this folder by name."""
    found: dict[str, MetricClass] = {}
    for info in pkgutil.iter_modules(metrics.__path__):
        if info.name == "registry":
            continue
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
        if not (isinstance(found, type) and issubclass(found, Metric)):
            raise InputError(f"--metric {name}: is no metric; name a class that extends Metric")
        return found

    known = metric_classes()
    if name not in known:
        raise InputError(
            f"--metric {name}: is none of {', '.join(known)}; name one of these, or module:NAME of your own"
        )
    return known[name]


def benchmark_metric(benchmark: Benchmark, name: str | None = None) -> Metric[Sequence]:
    """The metric that the benchmark asks for, or the one named, bound to the benchmark's rules.

    Raises:
        InputError: There is no such metric, or it scores labelled sets.
    """
    found = find_metric(name or benchmark.measure)
    if not issubclass(found, SequenceMetric):
        raise InputError(f"--metric {name}: scores labelled sets, not benchmarks; name the set with --set SET:ROOT")
    return found(benchmark=benchmark)
