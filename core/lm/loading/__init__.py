"""From a name to a model that is proven to work: files are checked before a library opens them."""
