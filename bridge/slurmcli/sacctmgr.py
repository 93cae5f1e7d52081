"""sacctmgr at the server: lists from the accounting book, changes to it by operators, with the question before."""

from adapters.slurm import hostlist, sacctmgr, sacctmgr_changes, sacctmgr_data, sacctmgr_list, sacctmgr_texts
from adapters.slurm.answer import Answer
from adapters.slurm.sacctmgr_fields import ClusterFacts
from adapters.slurm.sacctmgr_texts import Asker, Planned
from bridge.core.accounting import Book
from bridge.core.users import Caller
from bridge.slurmcli.wire import Call, Reply
from bridge.slurmcli.world import World, reply

_DISCARDED = " Changes Discarded\n"


async def run(world: World, caller: Caller, call: Call) -> Reply:
    order = sacctmgr.read(call.argv)
    if isinstance(order, Answer):
        return reply(order)
    if isinstance(order, sacctmgr.List):
        return await _list(world, caller, call, order)
    return await _change(world, caller, call, order)


async def _list(world: World, caller: Caller, call: Call, order: sacctmgr.List) -> Reply:
    if sacctmgr_list.needs_question(order):
        if call.state.get("asked") is not True:
            question = f"{sacctmgr_list.ONLY_WITH_ASSOCIATIONS}\n{sacctmgr_texts.SURE}"
            return Reply(question=question, state={"asked": True})
        if not _is_yes(call.answer):
            return Reply(("" if call.writes_to_terminal else "\n") + "Aborted\n")
    book = await world.service.accounting.book()
    facts = await _facts(world)
    if order.data is not None:
        return Reply(sacctmgr_data.text(order, order.data, book, facts, world.asked(caller, ())))
    return Reply(sacctmgr_list.text(order, book, facts))


async def _change(world: World, caller: Caller, call: Call, order: sacctmgr.Change) -> Reply:
    asker = await _asker(world, caller)
    planned = sacctmgr_changes.plan(order, await world.service.accounting.book(), asker)
    if planned.book is None:
        return Reply(planned.stdout, planned.stderr, planned.exit_code)
    # A person's terminal shows the Enter that ends the answer; where a program answers, Slurm prints one.
    typed = "" if call.writes_to_terminal else "\n"
    if not order.is_immediate:
        stage = call.state.get("stage")
        if planned.doubt and stage is None:
            return Reply(question=planned.doubt, state={"stage": "doubt"})
        if stage == "doubt" and not _is_yes(call.answer):
            return Reply(typed + _DISCARDED)
        if stage != "commit":
            said = typed + planned.stdout if stage == "doubt" else planned.stdout
            return Reply(said, planned.stderr, question=sacctmgr_texts.COMMIT, state={"stage": "commit"})
        if not _is_yes(call.answer):
            return Reply(typed + _DISCARDED)
    done: list[Planned] = []

    def edit(book: Book) -> Book | None:
        done.append(sacctmgr_changes.plan(order, book, asker))
        return done[-1].book

    await world.service.accounting.edit(edit)
    made = done[-1]
    if made.book is None:  # somebody was quicker
        return Reply(made.stdout, made.stderr, made.exit_code)
    notes = [f"sacctmgr: note: {note}\n" for note in sacctmgr_changes.notes(order)] if call.writes_to_terminal else []
    return Reply(made.stdout if order.is_immediate else typed, made.stderr + "".join(notes), made.exit_code)


def _is_yes(answer: str | None) -> bool:
    return (answer or "").strip().lower()[:1] == "y"


async def _asker(world: World, caller: Caller) -> Asker:
    book = await world.service.accounting.book()
    unfinished = await world.service.store.unfinished()
    return sacctmgr_texts.asker_of(
        caller, book, await _facts(world), lambda name: world.find_user(name) is not None, unfinished
    )


async def _facts(world: World) -> ClusterFacts:
    nodes = await world.service.nodes.known()
    amounts: dict[str, int] = {
        "cpu": sum(node.cpus for node in nodes),
        "mem": sum(node.memory_mib for node in nodes),
        "node": len(nodes),
        "billing": sum(node.cpus for node in nodes),
    }
    for node in nodes:
        for name, _, count in node.gres:
            amounts[f"gres/{name}"] = amounts.get(f"gres/{name}", 0) + count
    here = world.here
    return ClusterFacts(
        name=world.service.site.cluster_name,
        host=here.address or here.host,
        port=here.port or 0,
        tres=tuple(amounts.items()),
        node_count=len(nodes),
        node_list=hostlist.compress([node.name for node in nodes]),
    )
