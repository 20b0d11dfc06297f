"""One forward pass over a forest of segments, with gates on demonstrations and a dual model that may be changed."""
