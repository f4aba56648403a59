# Runs in a node for as long as devenv holds the connection: perl -e "<this>". It changes containers that run there, whatever is in them, by records
# on standard input; see agent.go. It needs perl-base, which is in every Debian, and a kernel with openat2 (5.6).
#
# A path of a container is resolved by the kernel within the container's root (RESOLVE_IN_ROOT), once, to the directory that the file is in; from
# there on everything happens in that very directory by its descriptor and a name that is not followed. So no link leads out, whenever it is put there.
# What is mounted in the container is not mounted here: a rename over it or its removal would not fail, but detach it. So that is looked for.
#
# Where the container's root is mounted read-only, the very same directories are written through the runtime's own mount of it, which is not; what is
# mounted below the root is still written through the container's mount of it, or is not, where that one is read-only.
use strict;
use warnings;
use Config;
use Errno ();
use Fcntl qw(:DEFAULT :mode);
use POSIX ();

use constant { OPENAT2 => 437, PIDFD_OPEN => 434, PIDFD_SEND_SIGNAL => 424 };    # the same on all machines
use constant { O_PATH => 0x200000, AT_FDCWD => -100 };
use constant { NO_XDEV => 1, NO_MAGICLINKS => 2, NO_SYMLINKS => 4, IN_ROOT => 16 };
use constant { CHUNK => 1 << 18, TEMPORARY => '.devenv-hot' };

our $tasks //= '/run/containerd/io.containerd.runtime.v2.task/k8s.io';
our $inside;              # a test's root, for all containers
my %view;                 # by descriptor of a directory in the runtime's mount: the same directory as the container sees it
my $temporary;            # path of the file that is being written beside its place
my ($buffer, $at) = ('', 0);

# Errors are [kind, path, number, text]; kind is gone, file, signal or node.
sub fail { die ['file', $_[0], $! + 0, "$!"] }
sub gone { die ['gone', '', 0, $_[0]] }

sub openat {
    my ($dir, $path, $flags, $resolve) = @_;
    my $how = pack 'Q3', $flags, 0, $resolve | NO_MAGICLINKS * ($resolve != 0);
    for (1 .. 100) {
        my $fd = syscall OPENAT2, $dir, "$path", $how, length $how;
        return $fd if $fd >= 0;
        last if !$!{EAGAIN};    # somebody renames something on the way
    }
    return;
}

sub below { "/proc/self/fd/$_[0]" . (defined $_[1] ? "/$_[1]" : '') }

# A container: its first process and its root, both by descriptors, which cannot come to mean something else.
sub enter {
    my ($id) = @_;
    my %c;
    open my $file, '<', "$tasks/$id/init.pid" or gone("$!");
    my $pid = <$file> // '';
    $pid =~ /^([1-9]\d*)/ or gone('it has no process');
    $c{pid} = $1 + 0;    # syscall takes a text for an address
    $c{process} = openat(AT_FDCWD, "/proc/$1", O_RDONLY | O_DIRECTORY, 0) // gone("$!");
    open my $groups, '<', below($c{process}, 'cgroup') or gone("$!");
    my $known = grep { index($_, $id) >= 0 } <$groups>;
    $known || $inside or gone('its process ended');
    $c{root} = openat(AT_FDCWD, $inside || below($c{process}, 'root'), O_PATH | O_DIRECTORY, 0) // gone("$!");
    $c{mount} = read_only(\%c);
    if (defined $c{mount}) {
        $c{writable} = openat(AT_FDCWD, "$tasks/$id/rootfs", O_PATH | O_DIRECTORY, 0);
        shut(delete $c{writable}) if defined $c{writable} && !same($c{writable}, $c{root});
    }
    return \%c;
}

# The number of the container's root mount, if that is read-only.
sub read_only {
    my ($c) = @_;
    open my $mounts, '<', below($c->{process}, 'mountinfo') or return;
    my $number;
    while (<$mounts>) {    # the last mount on a place is the one that is seen
        my ($id, $at, $options) = (split)[0, 4, 5];
        $number = $options =~ /^ro\b/ ? $id : undef if $at eq '/';
    }
    return $number;
}

# The number of the mount that a descriptor is in.
sub mount_of {
    my ($fd) = @_;
    open my $info, '<', "/proc/self/fdinfo/$fd" or return -1;
    my ($id) = map { /^mnt_id:\s*(\d+)/ } <$info>;
    return $id // -1;
}

sub same {
    my @one = stat below($_[0]) or return 0;
    my @other = stat below($_[1]) or return 0;
    return $one[0] == $other[0] && $one[1] == $other[1];
}

# A directory of the container by which it can be written: the runtime's, where the one given is in a root that is read-only.
sub writable {
    my ($c, $fd, $path) = @_;
    return $fd if !defined $c->{writable} || mount_of($fd) != $c->{mount};
    my $other = openat($c->{writable}, $path, O_PATH | O_DIRECTORY, IN_ROOT);
    return $fd if !defined $other;    # writing will say that it is read-only
    if (!same($other, $fd)) { shut($other); return $fd }
    $view{$other} = $fd;
    return $other;
}

# Closes a directory.
sub shut {
    my ($fd) = @_;
    POSIX::close(delete $view{$fd}) if defined $view{$fd};
    POSIX::close($fd);
}

sub leave {
    my ($c) = @_;
    forget($c);
    my $alive = defined readlink below($c->{process}, 'root');
    POSIX::close($c->{$_}) for grep { defined $c->{$_} } qw(process root writable);
    $alive or gone('its process ended');
}

sub forget {
    my ($c) = @_;
    shut(delete $c->{parent}) if defined $c->{parent};
}

# The directory of a path, as a descriptor that stays valid until the next call, and the name in it.
sub place {
    my ($c, $path) = @_;
    my ($up, $name) = $path =~ m{^(.*)/([^/]+)$}s or die ['file', $path, 0, 'not a path of a file'];
    if (!defined $c->{parent} || $c->{up} ne $up) {
        forget($c);
        $c->{parent} = directory($c, $up eq '' ? '/' : $up);
        $c->{up} = $up;
    }
    return (holder($c->{parent}, $name), $name);
}

# By what a name in a directory is written: what is mounted there, as the container sees it.
sub holder {
    my ($parent, $name) = @_;
    return defined $view{$parent} && mounted($parent, $name) ? $view{$parent} : $parent;
}

# Opens a directory and makes what lacks of it.
sub directory {
    my ($c, $path) = @_;
    my $fd = openat($c->{root}, $path, O_PATH | O_DIRECTORY, IN_ROOT);
    return writable($c, $fd, $path) if defined $fd;
    my ($up, $name) = $path =~ m{^(.*)/([^/]+)$}s;
    fail($path) if !$!{ENOENT} || !defined $name;
    my $parent = directory($c, $up eq '' ? '/' : $up);
    my $made = mkdir(below($parent, $name), 0755) && own($parent, $name, 0755);
    my $error = $! + 0;
    shut($parent);
    $! = $error;
    fail($path) if !$made && !$!{EEXIST};
    return writable($c, openat($c->{root}, $path, O_PATH | O_DIRECTORY, IN_ROOT) // fail($path), $path);
}

# Gives a new directory the owner of the one that it is in, and then its mode, which a change of owner would take bits off.
sub own {
    my ($parent, $name, $mode) = @_;
    my @parent = stat below($parent) or return;
    my $fd = openat($parent, $name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, NO_XDEV) // return;
    my $done = chown($parent[4], $parent[5], below($fd)) && chmod($mode, below($fd));
    my $error = $! + 0;
    POSIX::close($fd);
    $! = $error;
    return $done;
}

# Says whether something is mounted on a name in the container.
sub mounted {
    my ($parent, $name) = @_;
    my $fd = openat($view{$parent} // $parent, $name, O_PATH | O_NOFOLLOW, NO_XDEV);
    return $!{EXDEV} if !defined $fd;
    POSIX::close($fd);
    return 0;
}

sub discard {
    my ($parent, $name, $path) = @_;
    my @is = lstat below($parent, $name);
    if (!@is) {
        return 0 if $!{ENOENT};
        fail($path);
    }
    if (mounted($parent, $name)) { $! = Errno::EBUSY; fail($path) }
    if (!S_ISDIR($is[2])) {
        unlink below($parent, $name) or $!{ENOENT} or fail($path);
        return 1;
    }
    my $fd = openat($parent, $name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, NO_XDEV) // fail($path);
    if (defined $view{$parent}) {
        my $seen = openat($view{$parent}, $name, O_PATH | O_DIRECTORY | O_NOFOLLOW, NO_XDEV);
        $view{$fd} = $seen if defined $seen;
    }
    opendir my $list, below($fd) or fail($path);
    my @names = grep { $_ ne '.' && $_ ne '..' } readdir $list;
    closedir $list;
    my $done = eval { discard($fd, $_, "$path/$_") for @names; 1 };
    my $error = $@;
    shut($fd);
    die $error if !$done;
    rmdir below($parent, $name) or fail($path);
    return 1;
}

sub absent {
    my ($c, $path) = @_;
    my ($up, $name) = $path =~ m{^(.*)/([^/]+)$}s or die ['file', $path, 0, 'not a path of a file'];
    forget($c);
    my $parent = openat($c->{root}, $up eq '' ? '/' : $up, O_PATH | O_DIRECTORY, IN_ROOT);
    if (!defined $parent) {
        return if $!{ENOENT} || $!{ENOTDIR};
        fail($path);
    }
    $c->{parent} = writable($c, $parent, $up eq '' ? '/' : $up);
    $c->{up} = $up;
    discard($c->{parent}, $name, $path) and forget($c);
}

sub make_directory {
    my ($c, $path, $mode) = @_;
    my ($parent, $name) = place($c, $path);
    my @is = lstat below($parent, $name);
    if (!@is || !S_ISDIR($is[2])) {
        discard($parent, $name, $path) if @is;
        mkdir(below($parent, $name), 0700) && own($parent, $name, $mode) or fail($path);
        return;
    }
    return if ($is[2] & 07777) == $mode;
    my $fd = openat($parent, $name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, IN_ROOT) // fail($path);
    my $done = chmod $mode, below($fd);
    my $error = $! + 0;
    POSIX::close($fd);
    $! = $error;
    $done or fail($path);
}

sub make_link {
    my ($c, $path, $to) = @_;
    my ($parent, $name) = place($c, $path);
    my @is = lstat below($parent, $name);
    my @owner = @is ? @is[4, 5] : (stat below($parent))[4, 5];
    if (@is && S_ISLNK($is[2])) {
        my $old = readlink below($parent, $name);
        return if defined $old && $old eq $to;
    }
    if (@is && mounted($parent, $name)) { $! = Errno::EBUSY; fail($path) }
    discard($parent, TEMPORARY, $path);
    $temporary = below($parent, TEMPORARY);
    symlink($to, $temporary) && POSIX::lchown(@owner, $temporary) or fail($path);
    appear($c, $parent, $name, $path, @is);
}

# Renames what was written beside its place. An old directory has to go first: nothing replaces it in one step.
sub appear {
    my ($c, $parent, $name, $path, @is) = @_;
    if (@is && S_ISDIR($is[2])) {
        discard($parent, $name, $path);
        forget_later($c);
    }
    rename $temporary, below($parent, $name) or fail($path);
    undef $temporary;
    forget($c) if delete $c->{stale} || (@is && S_ISLNK($is[2]));
}

sub forget_later { $_[0]{stale} = 1 }

sub make_file {
    my ($c, $path, $mode) = @_;
    my ($parent, $name) = place($c, $path);
    my @is = lstat below($parent, $name);
    return fill_mounted($parent, $name, $path, $mode) if @is && mounted($parent, $name);
    my @owner = @is ? @is[4, 5] : (stat below($parent))[4, 5];
    my $beside = below($parent, TEMPORARY);
    discard($parent, TEMPORARY, $path);
    sysopen my $file, $beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600 or fail($path);
    $temporary = $beside;
    fill($file, $path);
    chown(@owner, $file) && chmod($mode, $file) && close $file or fail($path);
    appear($c, $parent, $name, $path, @is);
}

# Writes a file in place that something else is mounted on: it cannot be replaced.
sub fill_mounted {
    my ($parent, $name, $path, $mode) = @_;
    sysopen my $file, below($parent, $name), O_WRONLY | O_NOFOLLOW | O_NONBLOCK or fail($path);
    if (!-f $file) { $! = Errno::EBUSY; fail($path) }
    truncate $file, 0 or fail($path);
    fill($file, $path);
    chmod($mode, $file) && close $file or fail($path);
}

sub fill {
    my ($file, $path) = @_;
    while (1) {
        my ($type, $data) = take();
        return if $type eq 'E';
        die ['file', $path, 0, 'its content did not come'] if $type ne 'C';
        my $done = 0;
        while ($done < length $data) {
            my $n = syswrite $file, $data, length($data) - $done, $done;
            defined $n or fail($path);
            $done += $n;
        }
    }
}

# What is at each of the paths, one letter each; a link on the way counts as one at the end.
sub kinds {
    my ($id, @paths) = split /\0/, $_[0];
    my $c = enter($id);
    my $done = eval { $_[1] = join '', map { kind($c, $_) } @paths; 1 };
    my $error = $@;
    leave($c);
    die $error if !$done;
}

sub kind {
    my ($c, $path) = @_;
    my $fd = openat($c->{root}, $path, O_PATH | O_NOFOLLOW, IN_ROOT | NO_SYMLINKS);
    if (!defined $fd) {
        return 'l' if $!{ELOOP};
        return '-' if $!{ENOENT} || $!{ENOTDIR};
        fail($path);
    }
    my @is = stat below($fd);
    my $error = $! + 0;
    POSIX::close($fd);
    $! = $error;
    @is or fail($path);
    return S_ISREG($is[2]) ? 'f' : S_ISDIR($is[2]) ? 'd' : S_ISLNK($is[2]) ? 'l' : S_ISFIFO($is[2]) ? 'p' : 'v';
}

sub sweep { unlink $temporary if defined $temporary; undef $temporary }

# A request of files: everything up to its end is read, also after a failure.
sub write_files {
    my ($id) = @_;
    my ($c, $failure);
    eval { $c = enter($id); 1 } or $failure = $@;
    while (1) {
        my ($type, $data) = take();
        last if $type eq '.';
        next if $failure;
        my ($path, $rest, $text) = split /\0/, $data, 3;
        eval {
            if    ($type eq 'F') { make_file($c, $path, $rest + 0) }
            elsif ($type eq 'D') { make_directory($c, $path, $rest + 0) }
            elsif ($type eq 'L') { make_link($c, $path, $text) }
            elsif ($type eq 'R') { absent($c, $path) }
            1;
        } or $failure = $@;
        sweep() if $failure;
    }
    my $alive = !$c || eval { leave($c); 1 };
    $failure = $@ if !$alive;    # whatever failed, it failed for that
    die $failure if $failure;
}

sub send_signal {
    my ($id, $name) = split /\0/, $_[0], 2;
    my @names = split ' ', $Config{sig_name};
    my ($number) = grep { $names[$_] eq $name } 1 .. $#names;
    defined $number or die ['signal', '', 0, "there is no signal $name"];
    my $c = enter($id);
    my $fd = syscall PIDFD_OPEN, $c->{pid}, 0;
    leave($c);    # the process that the descriptor is for was the container's when that was opened
    $fd >= 0 or gone("$!");
    my $sent = syscall PIDFD_SEND_SIGNAL, $fd, $number, 0, 0;
    my $error = "$!";
    POSIX::close($fd);
    $sent >= 0 or gone($error);
}

# Records: one byte of type, four of length, the highest first, data.
sub fetch {
    my ($n) = @_;
    while (length($buffer) - $at < $n) {
        if ($at) { substr($buffer, 0, $at, ''); $at = 0 }
        my $got = sysread STDIN, $buffer, CHUNK, length $buffer;
        next if !defined $got && $!{EINTR};
        if (!$got) { sweep(); exit 0 }    # devenv has left
    }
    my $data = substr $buffer, $at, $n;
    $at += $n;
    return $data;
}

sub take {
    my ($type, $length) = unpack 'a N', fetch(5);
    return ($type, fetch($length));
}

sub give {
    my ($type, $data) = @_;
    my $record = pack('a N', $type, length $data) . $data;
    while (length $record) {
        my $n = syswrite STDOUT, $record;
        if (!defined $n) { sweep(); exit 1 }
        substr $record, 0, $n, '';
    }
}

umask 0;
$SIG{PIPE} = 'IGNORE';
$SIG{$_} = sub { sweep(); exit 1 } for qw(HUP INT TERM);
{
    my $fd = openat(AT_FDCWD, '.', O_PATH | O_DIRECTORY, IN_ROOT);
    if (!defined $fd) { give('N', "openat2: $!"); exit 0 }
    POSIX::close($fd);
}
give('H', '');
while (1) {
    my ($type, $data) = take();
    my $answer = '';
    my $done = eval {
        if    ($type eq 'W') { write_files($data) }
        elsif ($type eq 'S') { send_signal($data) }
        elsif ($type eq 'Q') { kinds($data, $answer) }
        else                 { die ['node', '', 0, "what is $type"] }
        1;
    };
    if ($done) { give('K', $answer); next }
    my @error = ref $@ ? @{$@} : ('node', '', 0, "$@");
    give('E', join "\0", @error);
}
