"""Everything that runs: settings, store, workflows and the interfaces."""
