"""Which settings the code reads: an AST walk that follows annotations, assignments and fields to a settings class."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from pydantic import BaseModel

from omma.settings import Settings

NEVER = frozenset({"model_config", "service"})


@dataclass
class Known:
    """A class of the code. bases, attributes: full names, `omma.settings.Section`, of what it is and holds."""

    bases: list[str]
    attributes: dict[str, str] = field(default_factory=dict)


class Module:
    """names: what it imports, `Section` to `omma.settings.Section`."""

    def __init__(self, path: Path, root: Path) -> None:
        self.tree = ast.parse(path.read_text())
        self.name = ".".join(path.relative_to(root).with_suffix("").parts)
        self.names = {
            alias.asname or alias.name: f"{node.module}.{alias.name}"
            for node in ast.walk(self.tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }


class Readers:
    """reads: (class, attribute) to where it is read: the full name of a method, or a module's."""

    def __init__(self, root: Path, folders: list[str]) -> None:
        self.classes: dict[str, Known] = {}
        self.reads: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
        self._full_names: dict[str, list[str]] = defaultdict(list)
        modules = [Module(path, root) for folder in folders for path in sorted((root / folder).rglob("*.py"))]
        found = [(module, one) for module in modules for one in ast.walk(module.tree) if isinstance(one, ast.ClassDef)]
        for module, node in found:
            self._full_names[node.name].append(f"{module.name}.{node.name}")
            self.classes[f"{module.name}.{node.name}"] = Known([])
        for module, node in found:
            known = self.classes[f"{module.name}.{node.name}"]
            known.bases = [held for one in node.bases if (held := self.of_annotation(one, module))]
            for one in node.body:
                if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
                    self._note(known, one.target.id, self.of_annotation(one.annotation, module))
                elif isinstance(one, ast.FunctionDef) and one.returns is not None:
                    self._note(known, one.name, self.of_annotation(one.returns, module))
        for note in (True, False):  # attributes first: a method may read what a later one assigns
            for module in modules:
                _Walk(self, module, note_attributes=note).visit(module.tree)

    def attribute(self, owner: str, name: str) -> str | None:
        """The class that the owner's attribute holds."""
        known = self.classes[owner]
        if name in known.attributes:
            return known.attributes[name]
        return next((held for base in known.bases if (held := self.attribute(base, name))), None)

    def of_name(self, name: str, module: Module) -> str | None:
        """The class of this name as the module knows it."""
        for full in (f"{module.name}.{name}", module.names.get(name, "")):
            if full in self.classes:
                return full
        # Imported by way of a package's __init__.
        return self._full_names[name][0] if name in module.names and len(self._full_names[name]) == 1 else None

    def of_annotation(self, annotation: ast.expr | None, module: Module) -> str | None:
        return next((held for name in _names(annotation) if (held := self.of_name(name, module))), None)

    def is_read(self, owner: type[BaseModel], name: str, seen: frozenset[str] = frozenset()) -> bool:
        """Whether anything outside the settings classes reads it, by way of their own methods too."""
        lineage = [f"{one.__module__}.{one.__name__}" for one in owner.__mro__]
        for one in lineage:
            for class_name, method in self.reads.get((one, name), ()):
                if class_name not in lineage:
                    return True
                if method not in seen and self.is_read(owner, method, seen | {method}):
                    return True
        return False

    def _note(self, known: Known, name: str, held: str | None) -> None:
        if held is not None:
            known.attributes[name] = held


class _Walk(ast.NodeVisitor):
    def __init__(self, readers: Readers, module: Module, *, note_attributes: bool) -> None:
        self._readers = readers
        self._module = module
        self._note_attributes = note_attributes
        self._class = ""
        self._method = ""
        self._held: dict[str, str] = {}

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        outer, self._class = self._class, f"{self._module.name}.{node.name}"
        self.generic_visit(node)
        self._class = outer

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._function(node)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        outer, method = dict(self._held), self._method
        self._method = method or (node.name if self._class else "")
        for one in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
            held = self._readers.of_annotation(one.annotation, self._module)
            if held is not None:
                self._held[one.arg] = held
            elif one.arg == "self" and self._class:
                self._held["self"] = self._class
        self.generic_visit(node)
        self._held, self._method = outer, method

    def visit_Assign(self, node: ast.Assign) -> None:
        self.generic_visit(node)
        for target in node.targets:
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                for one, value in zip(target.elts, node.value.elts, strict=False):
                    self._assign(one, value)
            else:
                self._assign(target, node.value)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.generic_visit(node)
        owner = self._class_of(node.value)
        if owner is not None and isinstance(node.ctx, ast.Load):
            self._readers.reads[owner, node.attr].add((self._class, self._method))

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        held = self._class_of(value)
        if held is None:
            return
        if isinstance(target, ast.Name):
            self._held[target.id] = held
        elif isinstance(target, ast.Attribute) and self._note_attributes:
            owner = self._class_of(target.value)
            if owner is not None:
                self._readers.classes[owner].attributes.setdefault(target.attr, held)

    def _class_of(self, node: ast.expr) -> str | None:
        match node:
            case ast.Name(id=name):
                return self._held.get(name)
            case ast.Attribute(value=value, attr=name):
                owner = self._class_of(value)
                return None if owner is None else self._readers.attribute(owner, name)
            case ast.Call(func=ast.Name(id=name)) if self._readers.of_name(name, self._module):
                return self._readers.of_name(name, self._module)
            case ast.Call(func=ast.Attribute(value=value, attr="model_copy")):
                return self._class_of(value)
            case ast.Call(func=ast.Attribute() as method):
                return self._class_of(method)
            case ast.BoolOp(values=values):
                return next((held for one in values if (held := self._class_of(one))), None)
            case ast.IfExp(body=body, orelse=orelse):
                return self._class_of(body) or self._class_of(orelse)
        return None


def unread(readers: Readers, process: type[Settings]) -> list[str]:
    """Settings of a process that nothing reads, `GatewaySettings.drain_seconds`."""
    return sorted(set(_unread(readers, process)))


def _unread(readers: Readers, model: type[BaseModel]) -> Iterator[str]:
    for name, info in model.model_fields.items():
        if name not in NEVER and not readers.is_read(model, name):
            yield f"{model.__name__}.{name}"
        kinds = (info.annotation, *get_args(info.annotation))
        for section in (one for one in kinds if isinstance(one, type) and issubclass(one, BaseModel)):
            yield from _unread(readers, section)


def _names(annotation: ast.AST | None) -> Iterator[str]:
    """Every identifier in it, those inside quotes too."""
    for one in () if annotation is None else ast.walk(annotation):
        if isinstance(one, ast.Name):
            yield one.id
        elif isinstance(one, ast.Attribute):
            yield one.attr
        elif isinstance(one, ast.Constant) and isinstance(one.value, str):
            yield from _names(ast.parse(one.value, mode="eval")) if one.value.isidentifier() else ()
