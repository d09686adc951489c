"""From a folder of exports to proposed settings: what lies there, what it is, and what a person must decide."""
