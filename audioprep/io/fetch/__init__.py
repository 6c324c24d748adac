"""Archives from the network: whole and verified under their name, or not there at all.

A file grows as `NAME.part`, which is locked as long as it does. `NAME.part.json` beside it says which version at which
address it is a part of, so that a download goes on where it stopped and two versions are never joined unnoticed. Bytes
that are not the published ones end as `NAME.bad`. `.hashes.json` remembers the hashes of whole files.
"""

from audioprep.io.fetch.download import fetch
from audioprep.io.fetch.wanted import Wanted, verify

__all__ = ["Wanted", "fetch", "verify"]
