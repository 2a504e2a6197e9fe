<?php
// The site's settings, which all of its containers have from outside: variables, and files of secrets. wordpress-node has
// looked at them before Apache was started.
$node_secret = static function (string $name): string {
    return trim((string) file_get_contents(getenv('SECRETS_DIR') . '/' . $name));
};
$node_site = (string) getenv('SITE_URL');
if ($node_site === '') {
    // Nobody has said what the site is called, so it is at every address at which it is asked for. In earnest, say it:
    // links in its mails are to be the site's, not the visitor's word.
    $node_host = (string) ($_SERVER['HTTP_HOST'] ?? '');
    $node_site = 'http://' . (preg_match('/^[A-Za-z0-9.-]+(:\d+)?$/D', $node_host) ? $node_host : 'localhost');
} elseif (str_starts_with($node_site, 'https://')) {
    // Whoever speaks TLS stands before the hosts.
    $_SERVER['HTTPS'] = 'on';
}
define('WP_HOME', $node_site);
define('WP_SITEURL', $node_site);

define('DB_HOST', getenv('DATABASE_HOST') . ':' . getenv('DATABASE_PORT'));
define('DB_NAME', (string) getenv('DATABASE_NAME'));
define('DB_USER', (string) getenv('DATABASE_USER'));
define('DB_PASSWORD', $node_secret('application-database-password'));
if (getenv('DATABASE_CA') !== false) {
    // Whose certificate the database must show is in php.ini.
    define('MYSQL_CLIENT_FLAGS', MYSQLI_CLIENT_SSL | MYSQLI_CLIENT_SSL_VERIFY_SERVER_CERT);
}
define('DB_CHARSET', 'utf8mb4');
define('DB_COLLATE', '');
$table_prefix = 'wp_';

// One secret, from which each key follows: all containers have the same, so a session is good for any of them.
$node_salt = $node_secret('application-salt');
foreach (['AUTH', 'SECURE_AUTH', 'LOGGED_IN', 'NONCE'] as $node_name) {
    foreach (['_KEY', '_SALT'] as $node_kind) {
        define($node_name . $node_kind, hash_hmac('sha256', $node_name . $node_kind, $node_salt));
    }
}
unset($node_secret, $node_site, $node_host, $node_salt, $node_name, $node_kind);

// What WordPress, a theme or a plug-in consists of is the image's. Installed at run time it would be in one container, until
// that goes.
define('DISALLOW_FILE_MODS', true);
define('AUTOMATIC_UPDATER_DISABLED', true);
define('WP_AUTO_UPDATE_CORE', false);

if (!defined('ABSPATH')) {
    define('ABSPATH', __DIR__ . '/');
}
require_once ABSPATH . 'wp-settings.php';
