"""The dashboard: tables become figures, figures become pages."""
