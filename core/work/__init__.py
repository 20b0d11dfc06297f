"""The job queue and the restartable worker process that holds the model."""
