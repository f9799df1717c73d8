"""All commands in one application, in the order in which they are used."""

from __future__ import annotations

from typing import Annotated

import typer

from mailprov.cli import apply, dns, explain, init, lab, plan, schema, trust, validate, verify


def build_app() -> typer.Typer:
    app = typer.Typer(
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
        help="One inventory file in; working and proven mail service out.\n\n"
        "inventory -> plan -> apply -> verify -> report. Exit codes: 0 done or all proved, 1 something failed, "
        "2 wrong usage or inventory, 3 could not tell, 4 changes pending or warnings only, 130 interrupted.",
    )
    app.callback()(_main)
    app.command("init")(init.init)
    app.command("validate")(validate.validate)
    app.command("plan")(plan.plan)
    app.command("apply")(apply.apply)
    app.command("verify")(verify.verify)
    app.add_typer(dns.app, name="dns")
    app.add_typer(lab.app, name="lab")
    app.command("trust")(trust.trust)
    app.command("schema")(schema.schema)
    app.command("explain")(explain.explain)
    return app


def _main(
    version: Annotated[bool, typer.Option("--version", help="Show the version.", is_eager=True)] = False,
) -> None:
    if version:
        from mailprov import __version__

        typer.echo(f"mailprov {__version__}")
        raise typer.Exit
