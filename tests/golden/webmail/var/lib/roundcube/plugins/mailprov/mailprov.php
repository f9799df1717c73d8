<?php
// Managed by mailprov: do not edit, the inventory is where this file comes from.
// What Roundcube has of mailprov's own:
// - A login that nginx has not counted is refused before its password is tried. nginx sees where a request goes; PHP also
//   reads its body, its cookies and other spellings of a name, and would take a login from there. So nginx says which
//   requests it has counted and slowed down (nginx.conf beside config.inc.php).
// - Users whose password the administrator sets are told so.
// - Changes of passwords go by a driver of our own (passwords.php beside this file).
// - A new password ends the user's other sessions; they know the old one.
require_once __DIR__ . '/passwords.php';

class mailprov extends rcube_plugin
{
    private $rc;

    public function init()
    {
        $this->rc = rcmail::get_instance();
        $this->add_hook('authenticate', [$this, 'authenticate']);
        $this->add_hook('password_change', [$this, 'password_change']);
        if ($this->rc->task != 'settings') {
            return;
        }
        $spanish = strpos((string) ($_SESSION['language'] ?? ''), 'es') === 0;
        if ($this->owns_password()) {
            $this->use_driver(new mailprov_passwords($spanish));
        } else {
            $this->rc->config->set('password_disabled', $spanish
                ? 'La contraseña de esta cuenta la establece el administrador del servidor de correo. Para cambiarla, diríjase a él.'
                : 'The password of this account is set by the administrator of the mail server. Ask there for another one.');
        }
    }

    // Drivers are files in the package's own folder, of which we change nothing: so ours is put where the plugin keeps the
    // one that it has loaded. One that keeps it elsewhere goes on with the driver of config.inc.php.
    private function use_driver($driver)
    {
        $plugin = $this->api->get_plugin('password');
        if ($plugin && property_exists($plugin, 'drivers')) {
            $put = function ($driver) {
                $this->drivers['password'] = $driver;
            };
            Closure::bind($put, $plugin, get_class($plugin))($driver);
        }
    }

    public function authenticate($login)
    {
        if (($_SERVER['MAILPROV_LOGIN'] ?? '') !== '1') {
            $login['valid'] = false;
        }
        return $login;
    }

    public function password_change($passwords)
    {
        $db = $this->rc->get_dbh();
        $table = $db->table_name('session', true);
        $mark = 'username|' . serialize((string) $_SESSION['username']);
        $ended = [];
        $found = $db->query("SELECT sess_id, vars FROM $table WHERE sess_id <> ?", session_id());
        while ($found && ($row = $db->fetch_assoc($found))) {
            if (strpos((string) base64_decode($row['vars']), $mark) !== false) {
                $ended[] = $row['sess_id'];
            }
        }
        foreach ($ended as $id) {
            $db->query("DELETE FROM $table WHERE sess_id = ?", $id);
        }
        return $passwords;
    }

    private function owns_password()
    {
        $owners = (array) $this->rc->config->get('mailprov_own_passwords', []);
        return in_array((string) ($_SESSION['username'] ?? ''), $owners, true);
    }
}
