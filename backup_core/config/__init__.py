"""What the operator set: flags over environment over pitr.toml over defaults.

This package alone reads the environment and the configuration file; everything else is handed
a Settings value, so a test or another program never has to arrange a process to call a function.
The environment names are WAL-G's, so that an existing envdir keeps working.
"""

from backup_core.config.loading import Loaded, ShownSetting, describe, load
from backup_core.config.settings import Settings
from backup_core.config.stores import store_options

__all__ = ["Loaded", "Settings", "ShownSetting", "describe", "load", "store_options"]
