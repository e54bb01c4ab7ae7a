"""One public run_<verb> per stage: what the commands do, without the command line."""
