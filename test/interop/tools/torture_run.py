#!/usr/bin/env python3
"""Send every message of a manifest (rfc4475 / rfc5118) at a SIP server on loopback; compare with 'acceptable'.
usage: torture_run.py DIR --target 127.0.0.1:5060 [--src 127.0.0.9] [--tcp [--bytewise]] [--wait 1.2] [--json out.json]
--bytewise sends each byte by itself, 0.2 ms apart.
A message repeated within 32 s is a retransmission for a stateful server: restart it (or wait) between runs.
Liveness: a fresh OPTIONS after every message must be answered. exit 0 = all acceptable and alive."""
import argparse, json, os, re, socket, sys, time
ap=argparse.ArgumentParser(); ap.add_argument('dir'); ap.add_argument('--target',default='127.0.0.1:5060')
ap.add_argument('--src',default='127.0.0.9'); ap.add_argument('--tcp',action='store_true'); ap.add_argument('--wait',type=float,default=1.2)
ap.add_argument('--bytewise',action='store_true'); ap.add_argument('--json'); ap.add_argument('--lenient',action='store_true',help='silence counts as fwd (a server that drops/forwards instead of answering 200 to everything)'); ap.add_argument('--ping-uri',default='sip:ping@127.0.0.1'); a=ap.parse_args()
host,port=a.target.rsplit(':',1); assert host.startswith('127.'), 'loopback only'; T=(host,int(port)); n=[0]
def ping():
    n[0]+=1; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind((a.src,0)); s.settimeout(2); p=s.getsockname()[1]
    m=(f'OPTIONS {a.ping_uri} SIP/2.0\r\nVia: SIP/2.0/UDP {a.src}:{p};rport;branch=z9hG4bK-live-{os.getpid()}-{n[0]}\r\nMax-Forwards: 70\r\nFrom: <sip:p@{a.src}>;tag={n[0]}\r\nTo: <{a.ping_uri}>\r\nCall-ID: live-{os.getpid()}-{n[0]}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n')
    t=time.time(); s.sendto(m.encode(),T)
    try: d=s.recv(65535); return int(d[8:11]),(time.time()-t)*1e3
    except Exception: return None,None
    finally: s.close()
def viaport(b):
    m=re.search(rb'(?im)^(?:via|v)\s*:\s*SIP\s*/\s*\d\.\d\s*/\s*\w+\s+(\[[^\]]*\]|[^\s:;,]+)\s*(?::\s*(\d+))?',b)
    return int(m.group(2)) if m and m.group(2) else 5060
def udp(b):
    s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEADDR,1)
    s.bind((a.src,viaport(b))); s.settimeout(a.wait); s.sendto(b,T); got=[]; end=time.time()+a.wait
    try:
        while time.time()<end:
            d=s.recv(65535)
            if d[:8]==b'SIP/2.0 ':
                c=int(d[8:11]); got.append((c,d.split(b'\r\n')[0].decode('utf8','replace')))
                if c>=200: break
    except socket.timeout: pass
    s.close(); return got,'open'
def tcp(b):
    s=socket.create_connection(T,2); s.setsockopt(socket.IPPROTO_TCP,socket.TCP_NODELAY,1); s.settimeout(a.wait); got=[]; buf=b''; st='open'
    try:
        if a.bytewise:
            for c in b: s.sendall(bytes([c])); time.sleep(0.0002)
        else: s.sendall(b)
    except OSError: pass # closed before all was sent: what it said is still to be read
    try:
        while True:
            d=s.recv(65535)
            if not d: st='closed'; break
            buf+=d
            for m in re.finditer(rb'(?m)^SIP/2\.0 (\d{3})[^\r]*',buf): 
                if (int(m.group(1)),m.group(0).decode('utf8','replace')) not in got: got.append((int(m.group(1)),m.group(0).decode('utf8','replace')))
            if got and got[-1][0]>=200: break
    except socket.timeout: pass
    except OSError as e: st='reset'
    s.close(); return got,st
man=json.load(open(os.path.join(a.dir,'manifest.json'))); res=[]; bad=0; dead=0
if ping()[0] is None: print('server not answering OPTIONS'); sys.exit(2)
for m in man['messages']:
    b=open(os.path.join(a.dir,m['file']),'rb').read()
    got,st=(tcp if a.tcp else udp)(b)
    fin=[c for c,_ in got if c>=200]; out=fin[0] if fin else ('none' if not got else got[-1][0])
    acc=m['acceptable']; ok=out in acc or ('fwd' in acc and out not in (400,505) and (out!='none' or a.lenient))
    if a.tcp and m['name'] in('clerr','ncl','mcl01') and (st!='open' or out=='none'): ok=True
    p,ms=ping(); alive=p is not None
    bad+=not ok; dead+=not alive
    res.append(dict(name=m['name'],section=m['section'],got=out,line=got[-1][1] if got else '',conn=st,ok=ok,alive=alive))
    print(f"{'ok  ' if ok else 'BAD '} {m['section']:<9}{m['name']:<30} got {str(out):<5} want {acc} {'' if alive else 'DEAD'} {got[-1][1][:60] if got else ''}")
print(f"{len(res)} messages, {bad} not acceptable, {dead} liveness failures")
if a.json: json.dump(res,open(a.json,'w'),indent=1)
sys.exit(1 if bad or dead else 0)
