"""The one place that picks adapters and hands configuration in."""

import asyncio
import getpass
import os
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from heddle import __version__
from heddle.adapters.agents.acp import AcpAgent
from heddle.adapters.agents.brands import Brand, brand_names, load_brand
from heddle.adapters.agents.claude import ClaudeAgent
from heddle.adapters.agents.codex import CodexAgent
from heddle.adapters.agents.opencode import OpencodeAgent
from heddle.adapters.agents.turns import CommandReader, GeminiReader, TurnsAgent
from heddle.adapters.dispatch.local import LocalDispatcher
from heddle.adapters.git import GitRepository, open_repository
from heddle.adapters.git.opening import require_version
from heddle.adapters.git.privates import GitPrivates
from heddle.adapters.git.process import Git
from heddle.adapters.git.worktrees import GitWorktrees
from heddle.adapters.installs.registries import ToolRegistries
from heddle.adapters.journal.sqlite import SqliteJournal
from heddle.adapters.maps import ChildMaps
from heddle.adapters.previews import LocalPreviews
from heddle.adapters.previews.server import Wish
from heddle.adapters.rules import FolderCheckout
from heddle.adapters.sandbox import machine
from heddle.adapters.sandbox.box import Box
from heddle.adapters.sandbox.confined import Confined
from heddle.adapters.sandbox.headroom import Headroom
from heddle.adapters.sandbox.landlock import Landlock
from heddle.adapters.sandbox.none import Unconfined
from heddle.adapters.sandbox.policy import Shown
from heddle.adapters.sandbox.seatbelt import Seatbelt
from heddle.adapters.sandbox.strong import StrongBox, unbounded
from heddle.adapters.texts import Texts
from heddle.adapters.trackers import TaskLists
from heddle.adapters.workspaces import choice
from heddle.adapters.workspaces.apart import PortBlocks
from heddle.adapters.workspaces.clone import CloneWorkspaces
from heddle.adapters.workspaces.instant import InstantWorkspaces
from heddle.adapters.workspaces.several import SeveralWorkspaces
from heddle.adapters.workspaces.worktree import WorktreeWorkspaces
from heddle.api.desk import Desk
from heddle.config import Config, person_file, resolve, settings
from heddle.core.errors import HeddleError, SetupError
from heddle.engine.fleet import Fleet
from heddle.engine.installing import sweep
from heddle.engine.previews import Previews
from heddle.engine.roles import OWN
from heddle.engine.runs import Runs
from heddle.engine.site import Outside, Site
from heddle.ports import Agent, AgentFound, NoTools, SessionTools, Workspaces

DAY_S = 86_400.0


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """Unix seconds."""
        return time.time()


class KnownAgents:
    """Agents by brand: a TOML of ours, or one of the person's own."""

    def __init__(self, environment: Mapping[str, str], own: Path) -> None:
        self._environment = environment
        self._own = own
        self._made: dict[str, Agent] = {}

    def names(self) -> tuple[str, ...]:
        """All brands."""
        own = sorted(path.stem for path in self._own.glob("*.toml"))
        return tuple(dict.fromkeys((*brand_names(), *own)))

    def agent(self, name: str) -> Agent:
        """See the engine's Agents."""
        if name not in self._made:
            if name not in self.names():
                raise SetupError(
                    f"there is no agent '{name}'", slug="unknown-agent", hint=f"known are: {', '.join(self.names())}"
                )
            self._made[name] = self._make(self._brand(name))
        return self._made[name]

    def _brand(self, name: str) -> Brand:
        own = self._own / f"{name}.toml"
        return load_brand(own if own.is_file() else name)

    def shown(self) -> Shown:
        """What agents need of the machine: files as the environment names them, and their own programs."""
        brands = []
        for name in self.names():
            with suppress(SetupError):  # whoever chooses it is told
                brands.append(self._brand(name))
        named = (self._environment.get(name, "") for brand in brands for name in brand.shows)
        programs = (brand.command[0] for brand in brands)
        return Shown(tuple(filter(os.path.isabs, named)), tuple(filter(os.path.isabs, programs)))

    def _make(self, brand: Brand) -> Agent:
        env = {name: self._environment[name] for name in brand.env if name in self._environment}
        match brand.protocol:
            case "claude":
                return ClaudeAgent(brand, env)
            case "codex":
                return CodexAgent(brand, env)
            case "opencode":
                return OpencodeAgent(brand, env)
            case "acp":
                return AcpAgent(brand, env)
            case "gemini":
                return TurnsAgent(brand, env, GeminiReader)
            case "command":
                return TurnsAgent(brand, env, CommandReader)
            case other:
                raise SetupError(
                    f"agent '{brand.name}' speaks '{other}', which is not known",
                    slug="unknown-protocol",
                    hint="known protocols are: acp, claude, codex, command, gemini, opencode",
                )

    async def look(self, name: str = "") -> list[AgentFound]:
        """See the engine's Agents. All are asked at once: some programs take seconds to tell their version."""
        if name and name not in self.names():
            self.agent(name)
        return list(await asyncio.gather(*map(self._look, (name,) if name else self.names())))

    async def _look(self, name: str) -> AgentFound:
        own = (self._own / f"{name}.toml").is_file()
        try:
            brand = self._brand(name)
        except SetupError as error:
            return AgentFound(name, trouble=error, own=own)
        found = AgentFound(name, brand.protocol, "", None, brand.capabilities, brand.lacks, brand.memory_mb, own)
        try:
            return replace(found, version=await self.agent(name).check())
        except HeddleError as error:
            return replace(found, trouble=error)

    async def check(self, wanted: Collection[str]) -> list[dict[str, object]]:
        """Each brand: found or not, and what to do. One that is not there is a fault only if it is `wanted`."""
        findings: list[dict[str, object]] = []
        for found in await self.look():
            trouble, detail = found.trouble, found.version or "there"
            if trouble is not None:
                detail = f"{trouble.message}; {trouble.hint}"
            absent = None if trouble and trouble.slug == "agent-missing" and found.name not in wanted else False
            findings.append({"what": f"agent {found.name}", "ok": absent if trouble else True, "detail": detail})
        return findings


class Enclosures:
    """The sandboxes of this machine. All share the holders' folders, so each finds what another started.

    `provider` makes new workspaces, in `tier`; `lacks`: what the tier promises and this machine or its person does not give.
    """

    def __init__(
        self,
        home: Path,
        runtime: Path,
        environment: Mapping[str, str],
        shown: Callable[[], Shown],
        memory_mb: int = 0,
    ) -> None:
        self._home, self._runtime, self._environment, self._shown = home, runtime, environment, shown
        self.none = Unconfined(home / "holders", runtime, environment)
        self.confined = (Seatbelt if machine.DARWIN else Landlock)(home / "holders", runtime, environment, shown)
        self.box = Box(home / "holders", runtime, environment, shown)
        self._memory_mb = memory_mb
        self.tier, self.provider, self.lacks = 0, "clone", ""

    async def choose(self, tier: str, provider: str) -> None:
        """Settle on a tier and a provider. Raises SetupError (slug config-wrong-type, config-contradiction)."""
        wanted = choice.tier_wanted(provider, tier)
        why_no_box = await machine.try_box(self._probe) if wanted == "auto" else ""
        why_not_confined = await machine.try_confined(self._probe, self._environment) if why_no_box else ""
        self.tier = machine.tier_for(wanted, why_no_box, why_not_confined)
        self.provider = choice.provider_for(provider, self.tier)
        if self.tier == StrongBox.tier:
            parts = (self._home / "holders", self._runtime, self._environment, self._shown)
            self.box = StrongBox(*parts, memory_mb=self._memory_mb)
            why = unbounded(self._memory_mb)
            self.lacks = f"memory is not bounded: {why}" if why else ""

    @property
    def chosen(self) -> Unconfined | Confined | Box:
        """The sandbox of the tier."""
        sandboxes: dict[int, Unconfined | Confined | Box] = {0: self.none, 1: self.confined}
        return sandboxes.get(self.tier, self.box)

    async def findings(self) -> list[dict[str, object]]:
        """What `heddle doctor` says about them."""
        found = await machine.findings(self.tier, self._probe, self._environment, self._shown(), self._memory_mb)
        workspaces = machine.Finding("workspaces", True, choice.MEANS[self.provider])
        return [asdict(one) for one in (*found, workspaces)]

    async def close(self) -> None:
        """Let go of the processes; they go on. Boxes in which none is left end."""
        await self.none.close_idle()
        for sandbox in (self.none, self.confined, self.box):
            await sandbox.close()

    @property
    def _probe(self) -> Path:
        """On the disk that workspaces lie on."""
        return self._home / "probe"


@dataclass(slots=True)
class House:
    """A wired Heddle."""

    desk: Desk
    journal: SqliteJournal
    enclosures: Enclosures
    dispatcher: LocalDispatcher

    async def close(self) -> None:
        """Let go of everything; sessions go on."""
        await self.desk.previews.close()
        await self.dispatcher.close()
        await self.enclosures.close()
        self.journal.close()


class Sites:
    """Repositories that were opened, by the path they were asked for."""

    def __init__(self, home: Path, enclosures: Enclosures, own: Mapping[str, Any]) -> None:
        self._home = home
        self._enclosures = enclosures
        self._max_file_bytes = own["workspace.max_file_mb"] * 1_000_000
        self._trash_s = own["workspace.trash_days"] * DAY_S
        self._sites: dict[str, Site] = {}
        self._tidied: dict[str, float] = {}

    async def site(self, root: str) -> Site:
        """The repository that `root` lies in. Raises UserError or SetupError when there is none to work in."""
        known = self._sites.get(root)
        if known is None or not Path(known.repository.root).is_dir():
            repository = await open_repository(Path(root))
            known = self._sites.get(repository.root) or self._made(repository)
            self._sites[root] = self._sites[repository.root] = known
        await self._tidy(known)
        return known

    async def _tidy(self, site: Site) -> None:
        """Once a day: what was put away long enough ago is deleted."""
        now, key = time.time(), site.repository.key
        if now - self._tidied.get(key, 0.0) > DAY_S:
            first = key not in self._tidied
            self._tidied[key] = now
            if first:
                await sweep(site)
            await site.workspaces.empty_trash(self._trash_s)
            await self._enclosures.none.prune(now - self._trash_s)

    def _made(self, repository: GitRepository) -> Site:
        trees = GitWorktrees(repository.store)
        return Site(repository, self._workspaces(repository, trees), trees, self._max_file_bytes)

    def _workspaces(self, repository: GitRepository, trees: GitWorktrees) -> Workspaces:
        """New ones from the chosen provider; those that others made are found where they are."""
        key, home, boxes = repository.key, self._home, self._enclosures
        privates = GitPrivates(repository.store)
        clock, ports, limit = SystemClock(), PortBlocks(home / "ports"), {"max_file_bytes": self._max_file_bytes}
        shared = (home / "bases" / key, home / "layers" / key)

        def places(kind: str) -> tuple[Path, Path]:
            return home / kind / key, home / f"{kind}-trash" / key

        made: dict[str, Workspaces] = {
            "instant": InstantWorkspaces(
                *places("instant"), *shared, repository, trees, privates, boxes.box, clock, **limit
            ),
            "clone": CloneWorkspaces(
                *places("clones"), repository, trees, privates, boxes.chosen, clock, ports, **limit
            ),
            "worktree": WorktreeWorkspaces(
                *(home / "workspaces" / key, home / "trash" / key),
                repository,
                trees,
                boxes.chosen,
                clock,
                ports,
                **limit,
            ),
        }
        return SeveralWorkspaces(made.pop(boxes.provider), *made.values())


async def build(
    home: Path,
    runtime: Path,
    environment: Mapping[str, str],
    close: Callable[[], None],
    *,
    keep_aside: bool = False,
    tools: SessionTools | None = None,
) -> House:
    """A Heddle whose state is at `home`; `tools` serves its sessions what they may ask.

    Raises SetupError when the journal or the configuration cannot be read.
    """
    clock = SystemClock()
    config = Config(person_file(environment), environment)
    own = {value.key: value.value for value in resolve(config.own_layers())}
    journal = SqliteJournal.open(home / "journal.db", clock, keep_aside=keep_aside)
    fence = await journal.claim("daemon", "daemon", 3600)
    runs = Runs(journal, fence)
    await runs.load()
    agents = KnownAgents(environment, person_file(environment).parent / "agents")
    enclosures = Enclosures(home, runtime, environment, agents.shown, own["limits.session_memory_mb"])
    await enclosures.choose(own["sandbox.tier"], own["workspace.provider"])
    sites = Sites(home, enclosures, own)
    keep = {"keep_memory_mb": own["limits.keep_memory_mb"], "keep_disk_mb": own["limits.keep_disk_mb"]}
    room = Headroom(home, **keep)
    texts = Texts(person_file(environment).parent / "roles", OWN)
    maps = ChildMaps(home / "maps", environment)
    known = (sites.site, config, agents, texts, clock, enclosures.tier, room, ToolRegistries(environment), maps)
    dispatcher = LocalDispatcher()
    fleet = Fleet(runs, Outside(*known, tools or NoTools()), dispatcher)

    async def programs() -> list[dict[str, object]]:
        wanted = settings(config.own_layers()).agents_wanted
        return [await _git_finding(environment), *await agents.check(wanted)]

    async def explain(root: str, key: str) -> list[dict[str, object]]:
        repository = (await sites.site(root)).repository if root else None
        commit = await repository.resolve("HEAD") if repository else ""
        return [asdict(value) for value in await config.explain(repository, commit, key)]

    desk = Desk(
        fleet=fleet,
        by=f"person:{_person()}",
        home=home,
        version=__version__,
        transcript=enclosures.none.transcript,
        check_programs=programs,
        check_sandbox=enclosures.findings,
        lacks=enclosures.lacks,
        explain=explain,
        close=close,
        live=enclosures.none.live,
        previews=Previews(runs, LocalPreviews(lambda: _wish(config))),
        lists=TaskLists(environment),
        maps=maps,
        rules=_rules,
        started_at=clock.now(),
    )
    return House(desk, journal, enclosures, dispatcher)


async def _rules(root: str) -> FolderCheckout:
    repository = await open_repository(Path(root))
    return FolderCheckout(repository.top, repository)


def _wish(config: Config) -> Wish:
    """What the person wants of previews now."""
    now = {value.key: value.value for value in resolve(config.own_layers())}
    return Wish(now["preview.enabled"], now["preview.port"])


async def _git_finding(environment: Mapping[str, str]) -> dict[str, object]:
    try:
        return {"what": "git", "ok": True, "detail": await require_version(Git(environment))}
    except HeddleError as error:
        return {"what": "git", "ok": False, "detail": f"{error.message}; {error.hint}"}


def _person() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
