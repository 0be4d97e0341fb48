//! TLS in front of a local Luma or a Postgres: an authority of its own, and a certificate that it signed.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

use super::relay::SOCKET;
use super::{Cluster, Luma};

pub(crate) struct TlsFront {
    address: SocketAddr,
    authority: String,
    _runtime: Runtime,
}

impl TlsFront {
    /// Listens on a free port with a certificate for `name`.
    pub(crate) fn start(luma: &Luma, name: &str) -> Self {
        Self::before(Behind::Luma(luma.url().replace("http://", "")), name)
    }

    /// The same for a server of the tests' own, which is asked for TLS as Postgres is.
    pub(crate) fn of_postgres(cluster: &Cluster, name: &str) -> Self {
        Self::before(Behind::Postgres(cluster.dir().join(SOCKET)), name)
    }

    fn before(behind: Behind, name: &str) -> Self {
        let (acceptor, authority) = certified(name);
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let address = listener.local_addr().expect("an address");
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(pass_on(stream, acceptor.clone(), behind.clone()));
            }
        });
        Self { address, authority, _runtime: runtime }
    }

    /// The port it listens on.
    pub(crate) const fn port(&self) -> u16 {
        self.address.port()
    }

    /// Where it is found under this name.
    pub(crate) fn url(&self, host: &str) -> String {
        format!("https://{host}:{}", self.address.port())
    }

    /// The certificate of the authority, as a file of trusted ones holds it.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }
}

/// What the front stands before.
#[derive(Clone)]
enum Behind {
    Luma(String),
    Postgres(PathBuf),
}

/// What a client of Postgres sends before it speaks TLS, and the answer that it may.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
const WILLING: &[u8] = b"S";

async fn pass_on(mut stream: TcpStream, acceptor: TlsAcceptor, behind: Behind) -> io::Result<()> {
    match behind {
        Behind::Luma(address) => {
            let mut outside = acceptor.accept(stream).await?;
            copy_bidirectional(&mut outside, &mut TcpStream::connect(address).await?).await?;
        }
        Behind::Postgres(socket) => {
            let mut asked = [0; 8];
            stream.read_exact(&mut asked).await?;
            assert_eq!(asked, SSL_REQUEST, "nothing is said in the open");
            stream.write_all(WILLING).await?;
            let mut outside = acceptor.accept(stream).await?;
            copy_bidirectional(&mut outside, &mut UnixStream::connect(socket).await?).await?;
        }
    }
    Ok(())
}

fn certified(name: &str) -> (TlsAcceptor, String) {
    let mut params = CertificateParams::new([]).expect("no names");
    // One that is told from others of its kind by its name, as real ones are.
    params.distinguished_name.push(DnType::CommonName, format!("{} {name}", fastrand::u64(..)));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = || KeyPair::generate().expect("a key");
    let issuer = CertifiedIssuer::self_signed(params, key()).expect("an authority");
    let own = key();
    let params = CertificateParams::new([name.to_owned()]).expect("a name");
    let certificate = params.signed_by(&own, &issuer).expect("signed");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivatePkcs8KeyDer::from(own.serialize_der()).into(),
        )
        .expect("a pair");
    (TlsAcceptor::from(Arc::new(config)), issuer.pem())
}
