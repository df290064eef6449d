"""`python -m deploy.sandbox`: serve the partners until stopped."""

import uvicorn

from deploy.sandbox.app import create_app
from deploy.sandbox.settings import Settings
from shared.settings import told_in_words


def main() -> None:
    with told_in_words():
        settings = Settings.from_environment()
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
        # Answers that are held on purpose must not hold up a stop.
        timeout_graceful_shutdown=1,
    )


main()
