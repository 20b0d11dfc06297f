"""Parts `speed`, `memory`, `faithfulness`, `app` and `faults`: the product itself."""
