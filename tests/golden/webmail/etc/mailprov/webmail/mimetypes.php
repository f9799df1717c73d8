<?php
// Managed by mailprov: do not edit, the inventory is where this file comes from.
// What the package has, for a configuration folder of our own.
return include '/etc/roundcube/mimetypes.php';
