"""`omma up`."""

from typing import Annotated

import typer
from rich.markup import escape

from services.standalone.data_dir import ServerAddress
from services.standalone.output import Json, errors, print_json, run
from services.standalone.settings import StandaloneSettings


def up(
    model: Annotated[str, typer.Option(help="The model to embed with, name@version; instead of OMMA_MODEL.")] = "",
    other_ports: Annotated[bool, typer.Option(help="Take free ports when the usual ones are taken.")] = False,
    json: Json = False,
) -> None:
    """Serve the data folder: REST on OMMA_HTTP_PORT, gRPC on OMMA_GRPC_PORT, until SIGTERM or Ctrl-C."""

    from services.standalone.serve import serve  # the whole server: commands that only ask one start without it

    def say(address: ServerAddress) -> None:
        if json:
            print_json({"url": address.url, "grpc": address.grpc, "pid": address.pid})
        else:
            errors.print(
                f"Omma serves [bold]{escape(address.url)}[/] and gRPC at {escape(address.grpc)}. Stop it with Ctrl-C."
            )

    settings = StandaloneSettings(model=model) if model else StandaloneSettings()
    run(serve(settings, on_ready=say, other_ports=other_ports))
