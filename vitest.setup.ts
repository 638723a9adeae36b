import { setDefaultAutoSelectFamilyAttemptTimeout } from "node:net"

// where localhost has two addresses and a server one of them, Node gives up a connection to the right one after 250 ms,
// which a busy machine passes
setDefaultAutoSelectFamilyAttemptTimeout(60_000)
