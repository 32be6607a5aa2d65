"""Find benchmarks by name: those of this folder, and `module:NAME` from outside."""

import importlib
import pickle
import pkgutil
from collections.abc import Iterator

from densevos.base.errors import InputError
from densevos.base.outside import from_outside, is_outside
from densevos_eval import protocols
from densevos_eval.protocols.protocol import Protocol

OTHER_MODULES = {"layout", "options", "protocol", "registry"}
"""Modules of this folder without a benchmark. Every other module has a tuple PROTOCOLS."""


def _protocols_of_folder() -> Iterator[Protocol]:
    """The protocols of all benchmark files, by file name."""
    # A new file with a tuple PROTOCOLS is a new benchmark, without any list to extend.
    names = {module.name for module in pkgutil.iter_modules(protocols.__path__)}
    for name in sorted(names - OTHER_MODULES):
        yield from importlib.import_module(f"{protocols.__name__}.{name}").PROTOCOLS


PROTOCOLS = {protocol.name: protocol for protocol in _protocols_of_folder()}
"""The benchmarks of this folder by name, in the order in which messages and help list them."""


def find_protocol(dataset: str) -> Protocol:
    """Find a benchmark by name.

    Args:
        dataset: A key of PROTOCOLS, or `package.module:NAME` for a Protocol that lives outside the
            repository, importable from the working directory.

    Raises:
        InputError: There is no such benchmark, or what was imported cannot serve as one.
    """
    if dataset in PROTOCOLS:
        return PROTOCOLS[dataset]
    # A name that is not of the form module:NAME can only be a misspelt benchmark.
    if not is_outside(dataset):
        raise InputError(
            f"--dataset {dataset}: is no known benchmark; choose one of {', '.join(PROTOCOLS)},"
            " or name a Protocol of your own as module:NAME"
        )

    protocol = from_outside(dataset, "--dataset")
    if not isinstance(protocol, Protocol):
        raise InputError(
            f"--dataset {dataset}: is a {type(protocol).__name__}; it must be a"
            " densevos_eval.protocols.protocol.Protocol"
        )

    # Results carry the benchmark's name, so scores by other rules must not have the same name.
    if PROTOCOLS.get(protocol.name, protocol) != protocol:
        raise InputError(
            f"--dataset {dataset}: differs from the known benchmark {protocol.name};"
            " give your Protocol another name"
        )

    try:
        # Tried here, because an error in a worker process would come late and be hard to read.
        pickle.dumps(protocol)
    except Exception as error:  # Pickling runs the user's code, which raises whatever it likes.
        raise InputError(
            f"--dataset {dataset}: cannot be sent to worker processes ({type(error).__name__});"
            " its layout and match must be functions of a module"
        ) from error

    return protocol
