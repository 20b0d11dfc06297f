"""What more than one page shows or asks."""
