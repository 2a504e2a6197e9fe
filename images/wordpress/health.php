<?php
// Apache serves, and PHP runs. The database is not asked: a container that was started anew would not find another one.
header('Content-Type: text/plain');
header('Cache-Control: no-store');
echo "well\n";
