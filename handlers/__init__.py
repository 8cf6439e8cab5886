"""The engine on top of the kernel: ApiHandler, the pipeline, the registry, next jobs, the command line."""
