# shellcheck shell=bash
# shellcheck source=convergence_wait.sh
. convergence_wait.sh
# ---- hosts get what follows ----
say "$service: $running of $wanted running"
