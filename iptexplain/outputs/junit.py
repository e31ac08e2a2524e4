"""JUnit XML, which CI servers show: one test case for each expectation."""

from __future__ import annotations

from xml.etree import ElementTree

from iptexplain.explain.judge import Result
from iptexplain.explain.words import environment, said
from iptexplain.outputs.text import text


def junit(results: list[Result], file: str) -> bytes:
    """The results as one test suite with the name of the ``file`` that they come from. Nothing tells when or where it was made."""
    failures = sum(r.problem is not None for r in results)
    counts = {"tests": str(len(results)), "failures": str(failures), "errors": "0", "skipped": "0"}
    root = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(root, "testsuite", {"name": _allowed(file), **counts})
    for result in results:
        expected = result.expectation
        place = {"file": _allowed(file), "line": str(expected.location.line)}
        names = {"classname": _allowed(file), "name": _allowed(expected.title)}
        case = ElementTree.SubElement(suite, "testcase", {**names, **place})
        if result.problem:
            message = environment().get_template("documents/expected.j2").render(r=result)
            failure = ElementTree.SubElement(case, "failure", {"message": _plain(message), "type": result.problem})
            failure.text = "\n".join(map(_allowed, text(result.trace).splitlines()))
    ElementTree.indent(root)
    written: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _plain(message: str) -> str:
    return _allowed(text(message).strip())


def _allowed(words: str) -> str:
    """``words`` without the characters that XML cannot have at all: control characters, halves of surrogate pairs and the like."""
    return said(words)
