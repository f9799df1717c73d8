<?php
// Managed by mailprov: do not edit, the inventory is where this file comes from.
// Roundcube reads this in place of /etc/roundcube/config.inc.php. Names of settings are those of 1.4 and of 1.6: each
// release passes over the other's.

$config['db_dsnw'] = 'sqlite:////var/lib/mailprov-webmail/roundcube.db?mode=0600&timeout=5';
// Made on this host; who has it can read the passwords of sessions.
$config['des_key'] = trim((string) @file_get_contents('/var/lib/mailprov-webmail/des_key'));
$config['temp_dir'] = '/var/lib/mailprov-webmail/temp';
$config['log_dir'] = '/var/lib/mailprov-webmail/temp';
$config['log_driver'] = 'syslog';
$config['syslog_id'] = 'roundcube';
$config['syslog_facility'] = LOG_MAIL;
$config['log_logins'] = true;
$config['log_session_id'] = 0;
$config['enable_installer'] = false;

// This host, by the loopback address; the certificate must be that of its name all the same.
$tls = ['ssl' => [
    'verify_peer' => true,
    'verify_peer_name' => true,
    'allow_self_signed' => false,
    'peer_name' => 'mx1.alpha.test',
    'cafile' => '/etc/mailprov/tls/mx1.alpha.test.self-signed.crt',
]];
$config['imap_host'] = 'ssl://127.0.0.1:993';
$config['default_host'] = 'ssl://127.0.0.1';
$config['default_port'] = 993;
$config['imap_conn_options'] = $tls;
$config['smtp_host'] = 'ssl://127.0.0.1:465';
$config['smtp_server'] = 'ssl://127.0.0.1';
$config['smtp_port'] = 465;
$config['smtp_user'] = '%u';
$config['smtp_pass'] = '%p';
$config['smtp_helo_host'] = 'mx1.alpha.test';
$config['smtp_conn_options'] = $tls;
$config['managesieve_host'] = 'tls://127.0.0.1:4190';
$config['managesieve_port'] = 4190;
$config['managesieve_usetls'] = true;
$config['managesieve_conn_options'] = $tls;
$config['managesieve_vacation'] = 1;

// A name without @ is one of the domain by whose webmail somebody came.
$config['username_domain'] = '%d';
$config['mail_domain'] = '%d';
$config['trusted_host_patterns'] = ['^webmail\\.alpha\\.test$'];
$config['x_frame_options'] = 'sameorigin';
$config['session_lifetime'] = 30;
$config['max_message_size'] = 52428800;

$config['drafts_mbox'] = 'Drafts';
$config['junk_mbox'] = 'Junk';
$config['sent_mbox'] = 'Sent';
$config['trash_mbox'] = 'Trash';
$config['archive_mbox'] = 'Archive';

// Whose language none of its own is chosen for gets the browser's.
$config['language'] = null;
$config['skin'] = 'elastic';
$config['product_name'] = 'Webmail';
$config['display_product_info'] = 0;
$config['useragent'] = 'Roundcube Webmail';
$config['support_url'] = '';
$config['enable_spellcheck'] = false;
$config['plugins'] = ['archive', 'zipdownload', 'password', 'mailprov', 'managesieve'];

// By user, it would refuse the right password as well: anybody could shut anybody out. Guesses are counted by where they
// come from: nginx.conf beside this file, and fail2ban where the inventory has it.
$config['login_rate_limit'] = 0;

// Passwords are changed by a program of root's, for the accounts that own theirs.
$config['password_driver'] = 'poppassd';
$config['password_pop_host'] = 'unix:///run/mailprov-passwd/socket';
$config['password_pop_port'] = -1;
$config['password_confirm_current'] = true;
$config['password_minimum_length'] = 12;
$config['password_log'] = true;
$config['mailprov_own_passwords'] = [];
