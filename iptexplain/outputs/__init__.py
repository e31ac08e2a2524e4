"""The forms in which answers are printed, and the syntaxes in which generated rules are written: a module with FORMAT each."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from types import ModuleType


def formats() -> dict[str, ModuleType]:
    """The name of each syntax for generated rules, and the module that renders it."""
    names = sorted(m.name for m in pkgutil.iter_modules([str(Path(__file__).parent)]))
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
    return {module.FORMAT: module for module in modules if hasattr(module, "FORMAT")}
