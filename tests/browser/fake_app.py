"""The dashboard with a desk that only pretends, for browser tests: `python tests/browser/fake_app.py PORT SECONDS`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))


def _example():
    spec = importlib.util.spec_from_file_location("example", ROOT / "tests" / "app" / "example.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["example"] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    import json

    from app import cached, serve

    example = _example()
    port, seconds = int(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 4.0
    options = json.loads(sys.argv[3]) if len(sys.argv) > 3 else {}
    desk = example.FakeDesk(seconds, **options)
    cached.desk = lambda: desk
    cached.job_key = desk.key
    serve.main(port)
