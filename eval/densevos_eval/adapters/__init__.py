"""One file for each kind of encoder; each hands over a `Backbone`. `densevos_eval.encoders` is the front door."""
