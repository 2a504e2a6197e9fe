"""Whether a node bootstraps, joins, waits, discards or refuses: the decision alone, a pure function.

Owns every rule about the right to bootstrap. It reads no clock, file or network: what it says is a row of a
table test. A decision that writes to the store carries the revisions it was based on, so that it only holds
if nothing has changed meanwhile (see `Facts.revision` and docs/adr/0002-bootstrap-and-formation.md).

The rules in short:
- a node with data never starts a second cluster, and a normal start always joins;
- the first bootstrap needs a store that has never seen a cluster, and all expected nodes present and empty;
- after a full outage only the most advanced node bootstraps, once every member of the last Primary component
  has shown its position; if it leaves anybody out, it begins a new epoch;
- data of an older epoch, or marked as unusable by Galera, restarts nothing and joins by a full copy only;
- who stays outside a Primary component, with nobody in one, stops: a lost quorum then is a full outage.

Where they are, by the node's situation (`decide` tells which it is):
- the store does not answer: `without_store`;
- it answers, and the node has no data: `without_data`; it has: `with_data`; nobody runs then: `full_outage`;
- mariadbd runs outside a Primary component: `lost_quorum`; in one, with votes to give up: `votes`.

What can be decided is in `outcomes`, what is seen of the other nodes in `others`.
"""
