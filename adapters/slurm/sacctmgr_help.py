"""`sacctmgr --help`: what ours understands."""

TEXT = """\
sacctmgr [<OPTION>] <COMMAND>
    Valid <OPTION> values are:
     -h or --help: print this description of use
     -i or --immediate: commit changes without asking
     -n or --noheader: no header above the output
     -o or --oneliner: taken and without effect
     -p or --parsable: '|' between the fields and at the end
     -P or --parsable2: '|' between the fields
     -Q or --quiet: taken and without effect
     -r or --readonly: refuse every change
     -s or --associations: list users and accounts with their associations
     -v or --verbose: taken and without effect
     -V or --version: print the version

  Valid <COMMAND> values are:
     add <ENTITY> <SPECS>     add entity
     delete <ENTITY> <SPECS>  delete the specified entity(s)
     help                     print this description of use
     list <ENTITY> [<SPECS>]  display info of identified entity, default
                              is display all.
     modify <ENTITY> <SPECS>  modify entity: [where] conditions, set values
     ping                     ask whether accounting is up
     show                     same as list
     version                  display tool version number.

  <ENTITY> may be "account", "association", "cluster", "coordinator", "qos", "tres" or "user"

  One can get a number of characters by following a field with %NUMBER,
  and %-NUMBER puts it at the left: format=name%30 prints 30 characters of name.

  All commands, entities and options are case-insensitive and may be cut short.
"""
