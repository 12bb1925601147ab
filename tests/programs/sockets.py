# A pair of sockets.
import socket
a,b=socket.socketpair(); a.send(b'x'); b.recv(1); a.sendall(b'abc'); b.recv_into(bytearray(3)); a.send(b'q'); b.recvmsg(1); a.getsockname(); a.getpeername(); a.getsockopt(1,3); a.setsockopt(1,7,65536); a.settimeout(1); a.shutdown(1); socket.socket(fileno=b.detach())
_result = "done"
