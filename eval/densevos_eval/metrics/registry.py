"""Find metrics by name: every file of this folder that assigns a class to METRIC."""

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
    classes: dict[str, MetricClass] = {}
    for info in pkgutil.iter_modules(metrics.__path__):
        module = importlib.import_module(f"{metrics.__name__}.{info.name}")
        # Other modules of this folder are only used by metrics.
        metric = getattr(module, "METRIC", None)
        if metric is not None:
            classes[metric.name] = metric

    return classes


def find_metric(name: str) -> MetricClass:
    """Find a metric by name.

    Args:
        name: A key of `metric_classes()`, or `module:NAME` for a class outside the repository.

    Raises:
        InputError: There is no such metric.
    """
    if is_outside(name):
        # An abstract class lacks a method, so it could not be used.
        metric: MetricClass = from_outside(name, "--metric")
        is_metric = isinstance(metric, type) and issubclass(metric, Metric)
        if not is_metric or inspect.isabstract(metric):
            raise InputError(
                f"--metric {name}: is no metric;"
                " name a class that extends Metric and defines all of it"
            )

        return metric

    classes = metric_classes()
    if name not in classes:
        raise InputError(
            f"--metric {name}: is none of {', '.join(classes)};"
            " name one of these, or module:NAME of your own"
        )

    return classes[name]


def find_sequence_metric(name: str) -> type[SequenceMetric]:
    """Find a metric of benchmarks by name.

    Raises:
        InputError: There is no such metric, or it scores labelled sets.
    """
    metric = find_metric(name)
    if not issubclass(metric, SequenceMetric):
        raise InputError(
            f"--metric {name}: scores labelled sets, not benchmarks;"
            " name the set with --set SET:ROOT"
        )

    return metric


def find_shot_metric(name: str) -> type[ShotMetric]:
    """Find a metric of labelled sets by name.

    Raises:
        InputError: There is no such metric, or it scores benchmarks.
    """
    metric = find_metric(name)
    if not issubclass(metric, ShotMetric):
        raise InputError(
            f"--metric {name}: scores benchmarks, not labelled sets;"
            " name one with --dataset and --root"
        )

    return metric


def benchmark_metric(benchmark: Benchmark) -> SequenceMetric:
    """The metric that the benchmark asks for, bound to its rules."""
    return find_sequence_metric(benchmark.measure)(benchmark=benchmark)
