"""An own Postgres, for those who have none: binaries from a package, data in the state folder, one socket.

- The server runs as an ordinary account, also when the dialer runs as root.
- It is reached only by a unix socket in a folder of mode 0700; no port is opened.
- All processes that use one state folder share one server; the last to leave stops it.
- A killed dialer leaves the server running and the next start adopts it; a killed server is started again.
"""

from dialer.database.embedded.binaries import Binaries
from dialer.database.embedded.server import Embedded

__all__ = ["Binaries", "Embedded"]
