"""Start of the `demolens` command: hears Ctrl-C before anything large is imported."""

from __future__ import annotations

from core.work.stopping import interruptible, stop_now


def main() -> None:
    """Run the command line and exit with its status."""
    try:
        interruptible()
        from app import command
    except KeyboardInterrupt:
        stop_now()
    command.main()


if __name__ == "__main__":
    main()
