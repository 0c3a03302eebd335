//! What mends a flaw, for each kind of proxy. The recipes in `deploy/` and the page `docs/src/guides/proxies.md` have the same lines.

use super::{finding::Flaw, middlebox::Middlebox};

/// What to do whatever the proxy is.
pub(super) const fn in_general(flaw: Flaw) -> &'static str {
    match flaw {
        Flaw::PlainHttp => {
            "Use TLS: in the gateway itself ([tls]) or in the proxy, and give the https:// URL."
        }
        Flaw::Redirect => {
            "Give pages the URL that answers by itself: an EventSource loses its token in a redirect to another host."
        }
        Flaw::CertificateName => "Present a certificate whose subject alternative names have this host.",
        Flaw::CertificateTime => {
            "Renew the certificate, and have the proxy read it again. Check this machine's clock, too."
        }
        Flaw::CertificateExpiresSoon => "Renew the certificate, and check that its renewal runs by itself.",
        Flaw::CertificateChain => {
            "Present the certificate with its intermediate ones, which authorities call the full chain."
        }
        Flaw::OldTls => "Allow TLS 1.2 and 1.3 alone.",
        Flaw::NoHttp2 => {
            "Offer HTTP/2 by ALPN: over HTTP/1.1 a browser opens six connections to an origin, so tab 7 shows nothing."
        }
        Flaw::Http10 | Flaw::NoKeepalive | Flaw::Framing => {
            "Answer over HTTP/1.1 or HTTP/2, with connections that are kept."
        }
        Flaw::Http10Upstream => {
            "Ask the gateway over HTTP/1.1: over HTTP/1.0 nobody can tell a stream that broke from one that ended."
        }
        Flaw::ContentType => "Pass Content-Type on as the gateway sends it.",
        Flaw::Authorization => "Pass Authorization on to the gateway.",
        Flaw::QueryToken => {
            "Pass the query on to the gateway: an EventSource has no other place for its token."
        }
        Flaw::Login => "Leave /v1/ out of the proxy's own login: the gateway checks tokens by itself.",
        Flaw::Anonymous => "Never cache or share answers under /v1/, and add no token of the proxy's own.",
        Flaw::Cache => "Turn caching off for /v1/, and pass Cache-Control on.",
        Flaw::Etag => "Pass ETag and If-None-Match on: long polls need them.",
        Flaw::LongHeader | Flaw::LongUrl => {
            "Allow 16 KiB for a request's head, as the gateway does. If all your tokens name few payments, this does not matter."
        }
        Flaw::Compressed => {
            "Turn compression off for text/event-stream: it holds events back, and mixes a secret with what a stranger may choose."
        }
        Flaw::LastEventId | Flaw::LastEventIdQuery => {
            "Pass Last-Event-ID and the query on to the gateway: by them a client finds where it stopped."
        }
        Flaw::CorsPreflight | Flaw::CorsAnswer => {
            "Name the page's origin in `cors` of [access], let OPTIONS through, and leave the headers of CORS to the gateway."
        }
        Flaw::CorsTwice => "Leave the headers of CORS to the gateway, and add none in the proxy.",
        Flaw::Buffered | Flaw::Lumps => "Turn response buffering off for /v1/.",
        Flaw::IdleCut => "Allow more silence than [stream] heartbeat, or make the heartbeat shorter.",
        Flaw::Cut => {
            "Allow streams to last as long as max_age of [stream], or shorten max_age below what the proxy allows."
        }
    }
}

/// The directive of one kind of proxy, if it needs one.
pub(super) const fn directive(flaw: Flaw, middlebox: Middlebox) -> Option<&'static str> {
    match middlebox {
        Middlebox::Nginx => nginx(flaw),
        Middlebox::Haproxy => haproxy(flaw),
        Middlebox::Apache => apache(flaw),
        Middlebox::Caddy => caddy(flaw),
        Middlebox::Envoy => envoy(flaw),
    }
}

const fn nginx(flaw: Flaw) -> Option<&'static str> {
    Some(match flaw {
        Flaw::CertificateChain => "ssl_certificate /path/fullchain.pem;",
        Flaw::CertificateName => "server_name and ssl_certificate of this host's server block",
        Flaw::CertificateTime | Flaw::CertificateExpiresSoon => "nginx -s reload, after each renewal",
        Flaw::OldTls => "ssl_protocols TLSv1.2 TLSv1.3;",
        Flaw::NoHttp2 => "listen 443 ssl http2; (from 1.25.1 on: http2 on;)",
        Flaw::Http10Upstream | Flaw::Http10 | Flaw::Framing => {
            "proxy_http_version 1.1; proxy_set_header Connection \"\";"
        }
        Flaw::NoKeepalive => "keepalive_timeout 75s;",
        Flaw::ContentType => "no proxy_hide_header Content-Type, and no add_header Content-Type",
        Flaw::Authorization => "no proxy_set_header Authorization",
        Flaw::Login => "auth_basic off;",
        Flaw::QueryToken | Flaw::LastEventIdQuery => {
            "proxy_pass http://paystream_stream; (without $uri behind it)"
        }
        Flaw::Anonymous | Flaw::Cache => "proxy_cache off; and neither expires nor add_header Cache-Control",
        Flaw::Etag => "gzip off; and no proxy_set_header If-None-Match",
        Flaw::LongHeader | Flaw::LongUrl => "large_client_header_buffers 4 16k;",
        Flaw::Compressed => "gzip_types without text/event-stream and *, or gzip off;",
        Flaw::LastEventId => "no proxy_set_header Last-Event-ID",
        Flaw::CorsPreflight => "no `if ($request_method = OPTIONS)` and no limit_except",
        Flaw::CorsAnswer => "no proxy_hide_header Access-Control-…",
        Flaw::CorsTwice => "no add_header Access-Control-…",
        Flaw::Buffered | Flaw::Lumps => "proxy_buffering off; and no proxy_ignore_headers X-Accel-Buffering",
        Flaw::IdleCut => "proxy_read_timeout 75s;",
        Flaw::Redirect | Flaw::PlainHttp | Flaw::Cut => return None,
    })
}

const fn haproxy(flaw: Flaw) -> Option<&'static str> {
    Some(match flaw {
        Flaw::CertificateChain
        | Flaw::CertificateName
        | Flaw::CertificateTime
        | Flaw::CertificateExpiresSoon => {
            "bind … ssl crt /path/fullchain-and-key.pem, and a reload after each renewal"
        }
        Flaw::OldTls => "ssl-default-bind-options ssl-min-ver TLSv1.2",
        Flaw::NoHttp2 => "bind … alpn h2,http/1.1",
        Flaw::NoKeepalive => "option http-keep-alive, and no option httpclose",
        Flaw::Authorization => "no http-request del-header Authorization",
        Flaw::Login => "http-request auth unless { path_beg /v1/ }",
        Flaw::QueryToken | Flaw::LastEventIdQuery => "no http-request set-query",
        Flaw::Anonymous | Flaw::Cache => "no http-request cache-use and no set-header Cache-Control",
        Flaw::LongHeader | Flaw::LongUrl => "tune.bufsize 32768",
        Flaw::Compressed => "compression type without text/event-stream",
        Flaw::LastEventId => "no http-request del-header Last-Event-ID",
        Flaw::CorsPreflight => "no http-request return or deny for METH_OPTIONS",
        Flaw::CorsAnswer => "no http-response del-header Access-Control-…",
        Flaw::CorsTwice => "no http-response add-header Access-Control-…",
        Flaw::Buffered | Flaw::Lumps => "no http-response wait-for-body",
        Flaw::IdleCut | Flaw::Cut => "timeout client 75s, timeout server 75s",
        Flaw::Redirect
        | Flaw::PlainHttp
        | Flaw::Http10
        | Flaw::Http10Upstream
        | Flaw::Framing
        | Flaw::ContentType
        | Flaw::Etag => return None,
    })
}

const fn apache(flaw: Flaw) -> Option<&'static str> {
    Some(match flaw {
        Flaw::CertificateChain | Flaw::CertificateName => "SSLCertificateFile /path/fullchain.pem",
        Flaw::CertificateTime | Flaw::CertificateExpiresSoon => "apachectl graceful, after each renewal",
        Flaw::OldTls => "SSLProtocol -all +TLSv1.2 +TLSv1.3",
        Flaw::NoHttp2 => "Protocols h2 http/1.1 (with mod_http2 and the event MPM)",
        Flaw::Http10Upstream | Flaw::Http10 | Flaw::Framing => {
            "no SetEnv force-proxy-request-1.0, downgrade-1.0 or force-response-1.0"
        }
        Flaw::NoKeepalive => "KeepAlive On",
        Flaw::Authorization => "no RequestHeader unset Authorization",
        Flaw::Login => "Require all granted, in <Location /v1/>",
        Flaw::QueryToken | Flaw::LastEventIdQuery => "no RewriteRule with [QSD] or a ? at its end",
        Flaw::Anonymous | Flaw::Cache => "CacheDisable /v1/, and no Header set Cache-Control",
        Flaw::Etag | Flaw::Compressed => "SetEnvIf Request_URI ^/v1/ no-gzip no-brotli",
        Flaw::LongHeader => "LimitRequestFieldSize 16380",
        Flaw::LongUrl => "LimitRequestLine 16380",
        Flaw::LastEventId => "no RequestHeader unset Last-Event-ID",
        Flaw::CorsPreflight => "no RewriteCond for OPTIONS",
        Flaw::CorsAnswer => "no Header unset Access-Control-…",
        Flaw::CorsTwice => "no Header add Access-Control-…",
        Flaw::Buffered | Flaw::Lumps => {
            "ProxyPass /v1/ http://gateway:8080/v1/ flushpackets=on, and no output filter that holds bodies"
        }
        Flaw::IdleCut => "ProxyPass … timeout=75",
        Flaw::ContentType => "no ForceType and no Header set Content-Type",
        Flaw::Redirect | Flaw::PlainHttp | Flaw::Cut => return None,
    })
}

const fn caddy(flaw: Flaw) -> Option<&'static str> {
    Some(match flaw {
        Flaw::NoHttp2 => "protocols h1 h2 h3, under servers",
        Flaw::OldTls => "tls { protocols tls1.2 tls1.3 }",
        Flaw::CertificateChain | Flaw::CertificateName => {
            "tls /path/fullchain.pem /path/privkey.pem, or none for Caddy's own ACME"
        }
        Flaw::Http10Upstream => "transport http { versions 1.1 }",
        Flaw::Authorization => "no header_up -Authorization",
        Flaw::Login => "basicauth for other paths than /v1/* alone",
        Flaw::QueryToken | Flaw::LastEventIdQuery => "no rewrite or uri query that drops the query",
        Flaw::Cache => "no header Cache-Control",
        Flaw::Compressed | Flaw::Etag => "encode with a matcher that leaves /v1/* out",
        Flaw::LastEventId => "no header_up -Last-Event-ID",
        Flaw::CorsPreflight => "no respond for OPTIONS",
        Flaw::CorsAnswer => "no header_down -Access-Control-*",
        Flaw::CorsTwice => "no header Access-Control-…",
        Flaw::Buffered | Flaw::Lumps => "flush_interval -1, and no response_buffers",
        Flaw::IdleCut => "transport http { read_timeout 75s }",
        Flaw::Cut => "no write_timeout under servers, or one above max_age",
        Flaw::LongHeader | Flaw::LongUrl => "max_header_size 16kb, under servers",
        _ => return None,
    })
}

const fn envoy(flaw: Flaw) -> Option<&'static str> {
    Some(match flaw {
        Flaw::NoHttp2 => "alpn_protocols: [h2, http/1.1], and codec_type: AUTO",
        Flaw::OldTls => "tls_params: {tls_minimum_protocol_version: TLSv1_2}",
        Flaw::CertificateChain => "tls_certificates: certificate_chain with the full chain",
        Flaw::Compressed => "envoy.filters.http.compressor: content_type without text/event-stream",
        Flaw::Authorization | Flaw::LastEventId => "no request_headers_to_remove for it",
        Flaw::CorsAnswer => "no response_headers_to_remove for Access-Control-…",
        Flaw::CorsPreflight | Flaw::CorsTwice => "no envoy.filters.http.cors for this route",
        Flaw::Buffered | Flaw::Lumps => {
            "no envoy.filters.http.buffer, and no file_system_buffer, for this route"
        }
        Flaw::IdleCut => "idle_timeout of the route above the heartbeat, e.g. 75s",
        Flaw::Cut => "timeout: 0s of the route (its default cuts every answer after 15 s)",
        Flaw::LongHeader | Flaw::LongUrl => "max_request_headers_kb: 60 (its default)",
        _ => return None,
    })
}
