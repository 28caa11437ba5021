"""Source code without what cannot change a result: comments, layout, docstrings, the wording of errors, the order of
imports.

Digests by function, equal under Python 3.10 to 3.12: for telling whether two runs were of the same code, and where not.
"""

import ast
import hashlib
import re
from pathlib import Path

NOT_CODE = {"ctx", "kind", "type_comment", "type_params", "lineno", "col_offset", "end_lineno", "end_col_offset"}
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
# a string or a character of C, which may hold what looks like a comment; or a comment
C_TOKEN = re.compile(r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|/\*.*?\*/|//[^\n]*""", re.S)

C_WORD = re.compile(r"""\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|\w+|[^\w\s]""")


def of_folders(root, folders):
    """`{"folder/file.py": {function: digest}}` of the Python and C sources in `folders` below `root`."""
    paths = sorted(
        path for folder in folders for path in Path(root, folder).glob("*.*") if path.suffix in (".py", ".c", ".h")
    )
    return {str(path.relative_to(root)): of_source(path.read_text("utf-8"), path.suffix) for path in paths}


def of_source(text, suffix=".py"):
    """`{name: digest}`: "function", "Class.method", "Class" for the rest of a class, "(module)" for the rest of a
    file.
    """
    parts = _python(text) if suffix == ".py" else _c(text)
    return {name: hashlib.sha256("\0".join(forms).encode()).hexdigest()[:12] for name, forms in parts.items()}


def _python(text):
    parts = {}

    def add(name, node):
        parts.setdefault(name, []).append(repr(_plain(node)))

    imports = []
    for node in ast.parse(text).body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            source = getattr(node, "module", None)
            imports += [f"{source}.{name.name} as {name.asname or name.name}" for name in node.names]
        elif isinstance(node, ast.ClassDef):
            for method in [child for child in node.body if isinstance(child, FUNCTION)]:
                add(f"{node.name}.{method.name}", method)
            node.body = [child for child in node.body if not isinstance(child, FUNCTION)]
            add(node.name, node)
        elif not _is_text(node):
            add(node.name if isinstance(node, FUNCTION) else "(module)", node)
    if imports:
        parts.setdefault("(module)", []).append(repr(sorted(imports)))
    return parts


def _plain(node):
    """The tree as nested lists. What is raised is left out: a run that ends well raised nothing."""
    if isinstance(node, ast.Raise):
        return "raise"
    if isinstance(node, list):
        return [_plain(item) for item in node if not _is_text(item)]
    if isinstance(node, ast.AST):
        fields = [
            (name, value) for name, value in ast.iter_fields(node) if name not in NOT_CODE and value not in (None, [])
        ]
        return [type(node).__name__, *((name, _plain(value)) for name, value in fields)]
    return repr(node)


def _is_text(node):
    """A docstring, or any other constant that stands alone."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _c(text):
    """Split at the outermost braces and semicolons; a function is named by the word before its first parenthesis."""
    text = C_TOKEN.sub(lambda found: found[1] or " ", text)
    parts, start, depth = {}, 0, 0
    for found in re.finditer(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|[{};]|^[ \t]*#(?:\\\n|[^\n])*$", text, re.M):
        token = found[0].lstrip()
        depth += (token == "{") - (token == "}")
        if depth == 0 and (token[0] in ";}#"):
            chunk = " ".join(C_WORD.findall(text[start : found.end()]))
            name = re.search(r"(\w+)\s*\(", chunk)
            parts.setdefault(name[1] if name and token != ";" and token[0] != "#" else "(module)", []).append(chunk)
            start = found.end()
    return parts
