# SPDX-License-Identifier: GPL-3.0-or-later
# peer.pl serve PORT: sends what comes by TCP or UDP back to whom it came from, IPv4 and IPv6.
# peer.pl ask SECONDS CALL...: makes all calls, then waits SECONDS for answers, and prints "answered NUMBER" for each
#   call that got one. The first is 0. A CALL is PROTOCOL:ADDRESS:PORT: icmp, tcp or udp, and 8 or 32 hexadecimal digits.
#
# One program makes all calls: an emulated processor takes its time to start one. No module of Perl is at hand,
# not even strict; hence the numbers of bits/socket.h and netinet/in.h.

my ($AF_INET, $AF_INET6) = (2, 10);
my ($SOCK_STREAM, $SOCK_DGRAM, $SOCK_RAW, $SOCK_NONBLOCK) = (1, 2, 3, 04000);
my %TYPE = (tcp => $SOCK_STREAM, udp => $SOCK_DGRAM, icmp => $SOCK_RAW);
# By the length of an address: IPPROTO_ICMP or IPPROTO_ICMPV6, and the types of an echo request and of its reply.
my %ECHO = (4 => [1, 8, 0], 16 => [58, 128, 129]);
my $ROOM = 2048;

# struct sockaddr_in or sockaddr_in6: family, port, (flow,) address, (scope)
sub endpoint {
    my ($bytes, $port) = @_;
    return length $bytes == 4 ? pack('S n a4 x8', $AF_INET, $port, $bytes)
        : pack('S n N a16 L', $AF_INET6, $port, 0, $bytes, 0);
}

sub opened {
    my ($family, $type, $protocol) = @_;
    socket my $socket, $family, $type, $protocol or die "socket: $!\n";
    return $socket;
}

# Waits, so many seconds at most (undef: for ever), until sockets can be read or others be written. Returns the seconds
# that are left, and those sockets.
sub ready {
    my ($seconds, $read, $write) = @_;
    my ($in, $out) = ('', '');
    vec($in, fileno $_, 1) = 1 for @$read;
    vec($out, fileno $_, 1) = 1 for @$write;
    my ($found, $left) = select $in, $out, undef, $seconds;
    return $left if $found <= 0;
    return $left, (grep { vec $in, fileno $_, 1 } @$read), (grep { vec $out, fileno $_, 1 } @$write);
}

sub serve {
    my ($port) = @_;
    my ($datagrams, $listener) = map { opened($AF_INET6, $_, 0) } $SOCK_DGRAM, $SOCK_STREAM;
    for ($datagrams, $listener) {
        bind $_, endpoint("\0" x 16, $port) or die "bind: $!\n";
    }
    listen $listener, 100 or die "listen: $!\n";
    my %connected;
    while (1) {
        my (undef, @sockets) = ready(undef, [$datagrams, $listener, values %connected], []);
        for my $socket (@sockets) {
            my $bytes;
            if ($socket == $datagrams) {
                my $peer = recv $socket, $bytes, $ROOM, 0;
                send $socket, $bytes, 0, $peer if defined $peer;
            } elsif ($socket == $listener) {
                accept my $connection, $socket or next;
                $connected{$connection} = $connection;
            } elsif (!sysread($socket, $bytes, $ROOM) || !syswrite($socket, $bytes)) {
                delete $connected{$socket};
            }
        }
    }
}

# The Internet checksum (RFC 1071) of an even number of bytes.
sub checksum {
    my $sum = unpack '%32n*', $_[0];
    $sum = ($sum & 0xffff) + ($sum >> 16) while $sum >> 16;
    return ~$sum & 0xffff;
}

# The echo request with these bytes after its checksum (RFC 792, RFC 4443). The kernel sums up ICMPv6 by itself.
sub echo_request {
    my ($type, $rest) = @_;
    return pack('C C n', $type, 0, checksum(pack('C C n', $type, 0, 0) . $rest)) . $rest;
}

# A call on its way: its number, its socket, what to send and what an answer looks like.
sub begun {
    my ($number, $call) = @_;
    my ($protocol, $address, $port) = split /:/, $call;
    my $bytes = pack 'H*', $address;
    my $nonce = pack 'n6', map { int rand 65536 } 1 .. 6;  # ICMP takes the first two for identifier and number
    my ($ip_protocol, $request, $answer) = (0, $nonce, qr/\A\Q$nonce\E\z/);
    if ($protocol eq 'icmp') {
        ($ip_protocol, my ($asks, $replies)) = @{ $ECHO{length $bytes} };
        ($port, $request) = (0, echo_request($asks, $nonce));
        my $type = chr $replies;
        $answer = qr/\Q$type\E\0..\Q$nonce\E\z/s;  # IPv4: behind the header
    }
    my $family = length $bytes == 4 ? $AF_INET : $AF_INET6;
    my $socket = opened($family, $TYPE{$protocol} | $SOCK_NONBLOCK, $ip_protocol);
    connect $socket, endpoint($bytes, $port);  # if that fails, so will send
    return { number => $number, socket => $socket, request => $request, answer => $answer };
}

sub ask {
    my ($seconds, @calls) = @_;
    my %begun = map { $_->{socket} => $_ } map { begun($_, $calls[$_]) } 0 .. $#calls;
    my %sent;
    while (%begun || %sent) {
        my @sockets = map { $_->{socket} } values %begun;
        ($seconds, @sockets) = ready($seconds, [map { $_->{socket} } values %sent], \@sockets);
        last if !@sockets;
        for my $socket (@sockets) {
            if (my $call = delete $begun{$socket}) {
                $sent{$socket} = $call if defined send $socket, $call->{request}, 0;
                next;
            }
            my $heard = defined recv $socket, my $answer, $ROOM, 0;
            next if $heard && length $answer && $answer !~ $sent{$socket}{answer};  # somebody else's echo
            my $call = delete $sent{$socket};
            print "answered $call->{number}\n" if length $answer;  # else refused
        }
    }
}

$SIG{PIPE} = 'IGNORE';
my $job = shift;
$job eq 'serve' ? serve(@ARGV) : ask(@ARGV);
