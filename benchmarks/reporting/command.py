"""End a benchmark's command: an error is a sentence on standard error and a code, never a traceback."""

from common import commands

said_plainly = commands.said_plainly("The benchmark could not go on")
