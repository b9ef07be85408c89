"""Speed and memory of pitr beside pgBackRest, measured on the same data in the same run."""
