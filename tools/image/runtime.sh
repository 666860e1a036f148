#!/bin/sh
# runtime.sh ROOT: gathers what Node needs to run and nothing else: the program, the
# libraries it is linked with, certificates, a shell and a few tools, a user who is not root.
set -eu
root=$1
mkdir -p "$root/usr/local/bin" "$root/usr/bin" "$root/etc/ssl/certs" "$root/tmp" "$root/app"
chmod 1777 "$root/tmp"
ln -s usr/bin "$root/bin"
cp "$(command -v node)" "$root/usr/local/bin/node"
# for probes and for those who look into a pod
for name in sh test ls cat df du id env head tail wc stat sleep mkdir rm cp mv ln touch dd sha256sum grep; do
  cp -L "$(command -v "$name" | grep / || echo "/usr/bin/$name")" "$root/usr/bin/$name"
done
{
  ldd "$root"/usr/bin/* "$root/usr/local/bin/node"
  # looked up by name at run time: host names, and threads of older add-ons
  for name in libnss_dns.so.2 libnss_files.so.2 libresolv.so.2 librt.so.1 libgomp.so.1; do
    find /lib /usr/lib -name "$name" | sed 's/^/ => /; s/$/ /'
  done
} | sed -n 's/.* => \(\/[^ ]*\).*/\1/p; s/^[[:space:]]*\(\/lib[^ ]*\).*/\1/p' | sort -u | while read -r library; do
  mkdir -p "$root$(dirname "$library")"
  cp -L "$library" "$root$library"
done
if [ -f /etc/ssl/certs/ca-certificates.crt ]; then cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"; fi
printf 'root:x:0:0::/:/sbin/nologin\nmurmur:x:65532:65532::/tmp:/sbin/nologin\n' > "$root/etc/passwd"
printf 'root:x:0:\nmurmur:x:65532:\n' > "$root/etc/group"
printf 'hosts: files dns\n' > "$root/etc/nsswitch.conf"
# `exec`, so that Node is the process that gets the signals
printf '#!/bin/sh\nexec node /app/dist/cli/main.js "$@"\n' > "$root/usr/local/bin/murmur"
chmod 755 "$root/usr/local/bin/murmur"
