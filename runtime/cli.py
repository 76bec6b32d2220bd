"""The command `parley`: arguments in, text or JSON out, exit codes.  Everything else is elsewhere."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from runtime.errors import ToldByParty, UsageError, as_json, report
from runtime.job import DEALER, Job, choose, version

if TYPE_CHECKING:
    from network import Link
    from runtime.sources import Bindings

__all__ = ["main"]

F = TypeVar("F", bound=Callable[..., Any])

STUDY = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
PLACE = click.Path(file_okay=False, path_type=Path)
BIND = "One input's file, or a table of a database: duckdb:, sqlite:, postgres: or adbc:…?table=T."


def protocol_options(command: F) -> F:
    """Options that decide who computes and how: the same for `check`, `run` and `submit`."""
    for option in reversed(
        [
            click.option("--protocol", metavar="P", help="rep3 (three nodes) or additive (two or more)."),
            click.option("--nodes", metavar="A,B,C", help="The parties that compute."),
            click.option(
                "--preprocessing",
                metavar="KIND",
                envvar="PARLEY_PREPROCESSING",
                help="Who provides the correlated randomness of `additive`: dealer.",
            ),
            click.option("--dealer", metavar="NAME", default=DEALER, help="The dealer's name."),
            click.option("-p", "--param", "params", metavar="K=V", multiple=True, help="Set a parameter of the study."),
            click.option("--frac", type=click.IntRange(8, 24), default=16, help="Fraction bits of `fixed`."),
            click.option(
                "--network",
                default="lan",
                metavar="LINK",
                help="What the links are like: lan, wan, or RTT,BANDWIDTH such as 20ms,1Gbit.",
            ),
        ]
    ):
        command = option(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(version(), prog_name="parley")
def cli() -> None:
    """Compute together on data that none of the parties may show."""


def make_job(study: Path, options: dict[str, Any]) -> Job:
    """The job that the command line describes."""
    from dsl.inputs import parties_of
    from dsl.parse import parse

    text = study.read_text(encoding="utf-8")
    tree = parse(text, study.name)
    roles = parties_of(tree)
    nodes = [n.strip() for n in options["nodes"].split(",")] if options["nodes"] else None
    preprocessing = options["preprocessing"]
    source = click.get_current_context().get_parameter_source("preprocessing")
    if options["protocol"] is None and source is click.core.ParameterSource.ENVIRONMENT:
        preprocessing = None  # a setting of the environment serves additive, it does not choose it
    protocol, chosen, dealer = choose(
        roles,
        protocol=options["protocol"],
        nodes=nodes,
        preprocessing=preprocessing,
        dealer=options["dealer"],
    )
    _link(options["network"])
    params = _params(options["params"])
    return Job(text, study.name, roles, chosen, protocol, dealer, params, options["frac"], options["network"])


def _link(text: str) -> Link | None:
    from network import parse_link

    try:
        return parse_link(text)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _params(given: tuple[str, ...]) -> dict[str, str]:
    out = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"-p takes NAME=VALUE, not {one!r}")
        out[name.strip()] = value.strip()
    return out


def _bound(given: tuple[str, ...], study: Path, params: dict[str, str]) -> Bindings:
    """The files that `--bind` names, each for an input of the study."""
    from dsl.inputs import requirements
    from dsl.parse import parse
    from runtime.sources import parse_binding

    files = dict(parse_binding(one) for one in given)
    if files:
        specs = requirements(parse(study.read_text(encoding="utf-8"), study.name), params)
        known = dict.fromkeys(f"{s.party}:{s.name}" for s in specs)
        for party, name in files:
            if f"{party}:{name}" not in known:
                raise UsageError(f"--bind {party}:{name}: the study asks for {', '.join(known) or 'nothing'}")
    return files


def _say(text: str) -> None:
    click.echo(text, nl=not text.endswith("\n"))


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, ensure_ascii=False))


# -- commands --------------------------------------------------------------------------------------


@cli.command()
@click.argument("study", type=STUDY)
@click.option("--data", type=FOLDER, help="The parties' data, to know sizes.")
@click.option("--size", "sizes", metavar="N=1000", multiple=True, help="A size, or PARTY:TABLE=ROWS, without data.")
@click.option("--bind", "bound", metavar="PARTY:NAME=PATH", multiple=True, help=BIND)
@click.option("--json", "as_json_", is_flag=True, help="One JSON object on standard output.")
@click.option("--state", type=FOLDER, metavar="DIR", help="Where the nodes keep what studies store.")
@click.option("--brief", is_flag=True, help="Who learns what, and the cost in total.")
@click.option("--plan", is_flag=True, help="How each query is carried out: where, rows, rounds and bytes.")
@protocol_options
def check(
    study: Path,
    data: Path | None,
    sizes: tuple[str, ...],
    bound: tuple[str, ...],
    as_json_: bool,
    brief: bool,
    plan: bool,
    state: Path | None,
    **options: Any,
) -> None:
    """Types, disclosures, rounds, bytes, memory, and expected time on lan and wan."""
    from rich.console import Console

    from runtime.check import check_study
    from runtime.plans import print_plans
    from runtime.terminal import print_report

    job = make_job(study, options)
    done = check_study(job, data, _bound(bound, study, dict(job.params)), sizes, state, plans=plan)
    if as_json_:
        _print_json(done.to_json(plans=plan))
    elif plan:
        print_plans(done, Console(highlight=False))
    else:
        print_report(done, Console(highlight=False), brief=brief)


@cli.command()
@click.argument("study", type=STUDY)
@click.option("--data", type=FOLDER, help="DIR/PARTY/NAME.csv, .parquet or .npy.")
@click.option("--bind", "bound", metavar="PARTY:NAME=PATH", multiple=True, help=BIND)
@click.option("--plain", is_flag=True, help="In the clear and in one process, for debugging.")
@click.option("--limit", type=click.FloatRange(min=0.1), default=120.0, help="Seconds to wait for a silent party.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Also write each party's results there.")
@click.option("--state", type=PLACE, metavar="DIR", help="Where each node keeps what studies store.")
@click.option("--profile", is_flag=True, help="Say where time, rounds and bytes went, line by line.")
@click.option(
    "--profile-out",
    "picture",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the profile's picture goes (HTML); profile.html when not said.",
)
@click.option("--json", "as_json_", is_flag=True, help="One JSON object on standard output.")
@click.option("--quiet", "-q", is_flag=True, help="Results alone: no progress, no cost, no disclosures.")
@protocol_options
def run(
    study: Path,
    data: Path | None,
    bound: tuple[str, ...],
    plain: bool,
    limit: float,
    out: Path | None,
    state: Path | None,
    profile: bool,
    picture: Path | None,
    as_json_: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Run every party as a process of its own on this machine, over TLS."""
    from runtime import running

    link, params = _link(options["network"]), _params(options["params"])
    files = _bound(bound, study, params)
    if plain:
        result = running.run_plain(study, params, options["frac"], data, files, state, out)
    else:
        width, color = shutil.get_terminal_size().columns, sys.stdout.isatty()
        profile = profile or picture is not None
        settings = running.Options(data, files, link, limit, out, width, color, profile, state)
        result = running.run_shown(make_job(study, options), settings, quiet=quiet or as_json_)
    if as_json_:
        told = {"outputs": result.outputs, "stats": result.stats}
        _print_json(told if result.profile is None else {**told, "profile": result.profile})
    else:
        running.print_result(result, quiet=quiet)
    if result.profile is not None:
        running.show_profile(result.profile, study.name, picture, quiet=as_json_)


@cli.command()
@click.argument("name")
@click.option("--address", required=True, metavar="HOST:PORT", help="Where the other parties reach this one.")
@click.option("--dir", "directory", type=click.Path(file_okay=False, path_type=Path), default=Path(), help="Where to.")
def keygen(name: str, address: str, directory: Path) -> None:
    """A key, a certificate, and a card to give to the others."""
    from network import create_identity

    directory.mkdir(parents=True, exist_ok=True)
    identity = create_identity(name, address, directory)
    _say(f"key   {directory / f'{name}.key'}   keep it to yourself")
    _say(f"card  {directory / f'{name}.card.toml'}   give it to the other parties")
    _say(f"fingerprint  {identity.card.fingerprint}   compare it by telephone")


@cli.command()
@click.argument("config", type=STUDY)
@click.option(
    "--network", default="lan", metavar="LINK", help="Shape what this node sends: lan, wan, or RTT,BANDWIDTH."
)
@click.option("--verbose", "-v", is_flag=True)
def node(config: Path, network: str, verbose: bool) -> None:
    """One party's node: takes part in the jobs that its policy allows, until it is stopped."""
    from runtime.config import load_config
    from runtime.cores import take_cores
    from runtime.node import Node
    from runtime.pages import keep_pages

    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S"
    )
    settings = load_config(config)
    keep_pages()
    take_cores(count=settings.limits.cores)

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        async with Node(settings, link=_link(network)) as one:
            logging.info("%s listens on %s", settings.name, one.mesh.address)
            await one.serve()

    try:
        asyncio.run(serve())
    except asyncio.CancelledError:
        logging.info("%s stopped", settings.name)


@cli.command()
@click.argument("study", type=STUDY)
@click.option("--node", "config", type=STUDY, required=True, help="This party's node.toml.")
@click.option("--json", "as_json_", is_flag=True, help="One JSON object on standard output.")
@protocol_options
def submit(study: Path, config: Path, as_json_: bool, **options: Any) -> None:
    """Propose the study to all nodes, wait, and print what this party learns."""
    from runtime.submit import submit_job

    job = make_job(study, options)
    width, color = shutil.get_terminal_size().columns, sys.stdout.isatty()
    answer = submit_job(job, config, width, color=color and not as_json_)
    if "error" in answer:
        raise ToldByParty(answer["party"], answer["error"], answer["text"], int(answer["exit"]))
    if as_json_:
        name = answer["party"]
        _print_json({"outputs": {name: answer["outputs"]}, "stats": answer["stats"]})
    else:
        _say(answer["shown"] or f"{answer['party']} learns nothing from this study")


@cli.command("explain-code")
@click.argument("code")
def explain_code(code: str) -> None:
    """What an error code means, with a wrong and a right example."""
    from dsl.codes import explain

    page = explain(code)
    if page is None:
        raise UsageError(f"there is no code {code}: codes look like E0304")
    _say(page)


# -- the door ------------------------------------------------------------------------------------------


def main() -> NoReturn:
    """Run the command; every failure is one message and an exit code."""
    json_wanted = "--json" in sys.argv[1:]
    try:
        cli.main(standalone_mode=False)
        code = 0
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.ClickException as error:
        if json_wanted:
            _print_json(
                {"error": {"code": UsageError.code, "message": error.format_message(), "where": "command line"}}
            )
        error.show()
        code = 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        code = 3
    except (BrokenPipeError, SystemExit):  # whoever read what this prints has gone away
        code = 3
    except BaseException as error:  # a traceback helps nobody who runs a study
        text, code = report(error)
        if json_wanted:
            _print_json({"error": as_json(error)})
        click.echo(text, err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
