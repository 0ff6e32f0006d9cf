# Read by bash in the executed pages: commands print as into a file, without colours.
export TERM=dumb
unset FORCE_COLOR CLICOLOR_FORCE
