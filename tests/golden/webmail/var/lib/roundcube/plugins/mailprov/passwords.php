<?php
// Managed by mailprov: do not edit, the inventory is where this file comes from.
// Changes of passwords, for Roundcube's plugin `password`: by the program of root's that alone may write them, in the
// dialogue of poppassd. Roundcube's own driver for that does not say whose browser it is, by which tries are limited,
// and shows the program's English to everybody.
class mailprov_passwords
{
    // What the program refuses, in Spanish; %d is a number.
    private const SPANISH = [
        'the new password is too short: it needs at least %d characters' => 'la contraseña nueva es demasiado corta: necesita al menos %d caracteres',
        'the new password is too long: at most %d bytes' => 'la contraseña nueva es demasiado larga: como máximo %d bytes',
        'the new password has a sign that no keyboard writes, or is no UTF-8' => 'la contraseña nueva tiene un signo que ningún teclado escribe, o no es UTF-8',
        'the new password begins or ends with a blank' => 'la contraseña nueva empieza o termina con un espacio',
        'the new password is too easy to guess' => 'la contraseña nueva es demasiado fácil de adivinar',
        'the new password is the old one' => 'la contraseña nueva es la de antes',
        'too many wrong passwords; try again in %d minutes' => 'demasiadas contraseñas incorrectas; vuelva a intentarlo dentro de %d minutos',
        'this account may not log in at present; ask your administrator' => 'esta cuenta no puede entrar por ahora; pregunte a su administrador',
        'the server is being set up at this moment; try again in some minutes' => 'el servidor se está configurando en este momento; vuelva a intentarlo dentro de unos minutos',
        'that is no address of an account here' => 'esa no es la dirección de una cuenta de este servidor',
        'the address or the old password is wrong' => 'la dirección o la contraseña actual no es correcta',
        'this password is set by your administrator, in mailprov\'s inventory; ask there for another one' => 'esta contraseña la establece su administrador, en el inventario de mailprov; pídale otra',
        'the password was changed meanwhile by somebody else; try again with that one' => 'mientras tanto otra persona ha cambiado la contraseña; vuelva a intentarlo con esa',
        'a line is too long, or has no end' => 'la contraseña nueva es demasiado larga',
        'the password could not be changed; try again later' => 'no se ha podido cambiar la contraseña; vuelva a intentarlo más tarde',
        'the server does not answer; try again later' => 'el servidor no responde; vuelva a intentarlo más tarde',
    ];
    private const SILENT = 'the server does not answer; try again later';
    private $spanish;

    public function __construct($spanish)
    {
        $this->spanish = $spanish;
    }

    // What the plugin asks of a driver.
    public function save($old, $new, $user)
    {
        $said = $this->change((string) ($_SERVER['REMOTE_ADDR'] ?? ''), (string) $user, (string) $old, (string) $new);
        return $said === '' ? PASSWORD_SUCCESS : ['code' => PASSWORD_ERROR, 'message' => $this->sentence($said)];
    }

    // Empty where it was changed, else why not, in English.
    private function change($client, $user, $old, $new)
    {
        $server = @stream_socket_client('unix:///run/mailprov-passwd/socket', $code, $text, 10);
        if (!$server) {
            return self::SILENT;
        }
        stream_set_timeout($server, 100);
        foreach (['', "client $client", "user $user", "pass $old", "newpass $new"] as $line) {
            if (preg_match('/[\r\n\0]/', $line)) {
                $said = '500 the new password has a sign that no keyboard writes, or is no UTF-8';
            } elseif ($line !== '' && @fwrite($server, $line . "\r\n") === false) {
                $said = '';
            } else {
                $said = trim((string) @fgets($server, 1024));
            }
            if (strncmp($said, '2', 1) !== 0) {
                fclose($server);
                return strlen($said) > 4 ? substr($said, 4) : self::SILENT;
            }
        }
        fclose($server);
        return '';
    }

    private function sentence($english)
    {
        $text = $english;
        if ($this->spanish) {
            $numbers = preg_match_all('/\d+/', $english, $found) ? $found[0] : [];
            $form = self::SPANISH[preg_replace('/\d+/', '%d', $english)] ?? '';
            if ($form !== '' && substr_count($form, '%d') === count($numbers)) {
                $text = vsprintf($form, $numbers);
            }
        }
        return ucfirst(rtrim($text, '.')) . '.';
    }
}
