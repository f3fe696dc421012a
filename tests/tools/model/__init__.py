"""A model check of stateless handlers: every order of their calls of ports, and every crash between two.

A handler that touches the world only through ports is a deterministic program over the answers it got. So an
actor that is half-way is the list of those answers, no thread has to be held, and a world of immutable values
can be explored like any graph. `world` is that world, `program` runs handlers call by call, `explore` takes the
steps of that graph, `exhaust` all of them and `schedule` some that are drawn; `promises` says what must hold
after every step, and `rest` what must be published in the end.
"""
