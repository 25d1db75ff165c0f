# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules of the document, wired to the engine.

The reader of the document, not Ansible, judges the parameters, so that everything wrong with them is said at once and
with its path. Of what Ansible finds only unknown options are always told; the rest where the reader found nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, NoReturn, Optional, Sequence, Tuple

# Before the engine, which it loads quicker.
from . import zip_source  # noqa: F401  # isort: skip  # pylint: disable=unused-import
from . import engine
from .ansible_module import Module, Spec, answer
from .apply.disk import Store
from .document import dump, identity, read, to_yaml
from .errors import InvalidValue
from .state_directory import STATE_DIRECTORY

if TYPE_CHECKING:
    from .probe import ProbeResult

# The parameters that every module for a single object has beside the object's own fields.
OWNED: Spec = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "owner": {"type": "str", "default": "tasks"},
}


def run_document(spec: Spec) -> NoReturn:
    """The whole of a module whose parameters are a document."""
    module = Module(spec)

    def work() -> Dict[str, Any]:
        result = _run(module, module.fields(), fragment=False)
        return {
            **told(result, result.before, result.after),
            "reachability": probe_rows(result.reachability),
            # Left alone, Ansible sends the whole document back once more, and handles each copy many times.
            "invocation": {"module_args": {name: module.params[name] for name in ("name", "state")}},
        }

    answer(module, work)


def run_object(kind: str, spec: Spec) -> NoReturn:
    """The whole of a module for one object of the document's list ``kind``; ``spec`` are the object's own fields."""
    module = Module({**OWNED, **spec})
    answer(module, lambda: _object(module, kind, module.fields()), path=f"{kind}[0].")


def run_namespace(spec: Spec) -> NoReturn:
    """As run_object, but what the module forwarding made of the namespace stays so where nothing is said of it."""
    module = Module({**OWNED, **spec})

    def work() -> Dict[str, Any]:
        fields = module.fields()
        remembered = _remembered_namespace(fields["owner"], fields.get("name"))
        return _object(module, "namespaces", {**_only(remembered, "forwarding"), **fields})

    answer(module, work, path="namespaces[0].")


def run_forwarding(spec: Spec) -> NoReturn:
    """The whole of the module forwarding: a field of the document or, for a namespace, a field of that namespace."""
    module = Module({**OWNED, **spec})
    fields = module.fields()
    families: Dict[str, Any] = {family: fields[family] for family in ("ipv4", "ipv6") if family in fields}
    if not families and fields["state"] == "absent":
        families = {"ipv4": False, "ipv6": False}

    def work() -> Dict[str, Any]:
        if not families:
            raise InvalidValue("say ipv4, ipv6 or both")
        if "netns" in fields:
            return _namespace_forwarding(module, fields, families)
        document = {"name": fields["owner"], "state": fields["state"], "forwarding": families}
        result = _run(module, document, fragment=True)
        return told(result, _only(result.before, "forwarding"), _only(result.after, "forwarding"))

    answer(module, work, path="namespaces[0].forwarding." if "netns" in fields else "forwarding.")


def _namespace_forwarding(module: Module, fields: Mapping[str, Any], families: Mapping[str, Any]) -> Dict[str, Any]:
    """A namespace's forwarding is off at first, so absent is off."""
    owner, netns = fields["owner"], fields["netns"]
    remembered = _remembered_namespace(owner, netns)
    if not remembered:
        raise InvalidValue(f'netns: {owner} made no namespace named "{netns}"; say its forwarding where it is made')
    if fields["state"] == "absent":
        families = dict.fromkeys(families, False)
    forwarding = {**remembered.get("forwarding", {}), **families}
    return _object(module, "namespaces", {**remembered, "owner": owner, "forwarding": forwarding})


def _remembered_namespace(owner: str, name: Optional[str]) -> Dict[str, Any]:
    """The namespace as the owner's earlier tasks left it; nothing if they made none of that name."""
    if read({"name": owner}).problems:  # what is no name is no file's name either; the engine will say so
        return {}
    document = Store(STATE_DIRECTORY).load(owner).document or {}
    return next((entry for entry in document.get("namespaces", ()) if entry["name"] == name), {})


def _object(module: Module, kind: str, fields: Mapping[str, Any]) -> Dict[str, Any]:
    """Make one object so, and tell of that one only: the owner's whole document would grow with every task."""
    present = fields.get("state", "present") == "present"
    own = {name: value for name, value in fields.items() if name not in OWNED}
    if not present:  # a default identifies nothing: what the task leaves out fits all
        own = {name: value for name, value in own.items() if name in module.given}
    document = {"name": fields["owner"], "state": fields.get("state", "present"), kind: [own]}
    result = _run(module, document, fragment=True)
    wanted = getattr(read(document).topology, kind)[0]

    def of_it(whole: Mapping[str, Any]) -> Dict[str, Any]:
        topology = read({kind: whole.get(kind)}, rules=False).topology
        same: Dict[str, Any] = {kind: tuple(identity.concerned(kind, getattr(topology, kind), wanted, present))}
        return _only(dump(topology._replace(**same)), kind)

    return told(result, of_it(result.before), of_it(result.after))


def only_checks(module: Module) -> bool:
    """In check mode, and where Ansible has anything against the parameters."""
    return module.check_mode or bool(module.unknown or module.objections)


def _run(module: Module, document: Mapping[str, Any], fragment: bool) -> engine.Result:
    """Let the engine make it so, or only plan."""
    result = engine.run(document, check=only_checks(module), fragment=fragment)
    for warning in result.warnings:
        module.warn(warning)
    return result


def told(result: engine.Result, before: Dict[str, Any], after: Dict[str, Any]) -> Dict[str, Any]:
    """What every module returns that changes something."""
    return {
        "changed": result.changed,
        "plan": list(result.plan),
        "before": before,
        "after": after,
        "diff": difference(before, after, result.plan, (result.rules_before, result.rules_after)),
        "timings": result.timings,
    }


def _only(document: Mapping[str, Any], field: str) -> Dict[str, Any]:
    return {field: document[field]} if field in document else {}


def probe_rows(results: Sequence[ProbeResult]) -> List[Dict[str, Any]]:
    """Results of probes as rows. Documents without probes are spared the import."""
    if not results:
        return []
    from .probe import matrix

    return matrix(results)


def difference(
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    plan: Sequence[str] = (),
    rules: Tuple[Sequence[str], Sequence[str]] = ((), ()),
) -> Dict[str, str]:
    """What Ansible shows with --diff: both documents as YAML, and the plan; nothing where nothing changes.

    ``rules``: what stands in the packet filters and what will, as far as no field of a document says it. What of them
    differs is told in comments.
    """
    shown: Dict[str, str] = {}
    stand, wanted = (tuple(f"# packet filter: {words}\n" for words in side) for side in rules)
    there = to_yaml(before) + "".join(line for line in stand if line not in wanted)
    then = to_yaml(after) + "".join(line for line in wanted if line not in stand)
    if there != then:
        shown.update(before_header="as it is", after_header="as it will be", before=there, after=then)
    if plan:
        shown["prepared"] = "".join(f"{line}\n" for line in ("plan:", *(f"  {line}" for line in plan)))
    return shown
