// Verifies the Ed25519 cosignature of a checkpoint, written from the C2SP specifications of signed-note and
// tlog-cosignature alone, with Go's standard library and none of our code.
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"log"
	"os"
	"strings"
	"time"
)

func main() {
	log.SetFlags(0)
	name, id, key := verifierKey(os.Args[2])
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	split := bytes.LastIndex(text, []byte("\n\n"))
	if split < 0 || text[len(text)-1] != '\n' {
		log.Fatal("not a signed note")
	}
	body := text[:split+1]
	for _, line := range strings.Split(string(text[split+2:len(text)-1]), "\n") {
		fields := strings.Split(line, " ")
		if len(fields) != 3 || fields[0] != "\u2014" {
			log.Fatalf("malformed signature line %q", line)
		}
		signature, err := base64.StdEncoding.Strict().DecodeString(fields[2])
		if err != nil {
			log.Fatalf("signature line: %v", err)
		}
		if fields[1] != name || len(signature) < 4 || !bytes.Equal(signature[:4], id) {
			continue
		}
		if len(signature) != 4+8+ed25519.SignatureSize {
			log.Fatal("not a timestamped signature")
		}
		seconds := binary.BigEndian.Uint64(signature[4:12])
		message := append([]byte(fmt.Sprintf("cosignature/v1\ntime %d\n", seconds)), body...)
		if seconds > 1<<62 || !ed25519.Verify(key, message, signature[12:]) {
			log.Fatal("wrong cosignature")
		}
		lines := strings.Split(string(body), "\n")
		fmt.Printf("%s cosigned %s records of %s at %s\n", name, lines[1], lines[0],
			time.Unix(int64(seconds), 0).UTC().Format(time.RFC3339))
		return
	}
	log.Fatal("no cosignature of this witness")
}

func verifierKey(line string) (string, []byte, ed25519.PublicKey) {
	parts := strings.SplitN(strings.TrimSpace(line), "+", 3)
	if len(parts) != 3 {
		log.Fatal("malformed verifier key")
	}
	id, err := hex.DecodeString(parts[1])
	if err != nil {
		log.Fatal("malformed key id")
	}
	key, err := base64.StdEncoding.Strict().DecodeString(parts[2])
	if err != nil || len(key) != 1+ed25519.PublicKeySize || key[0] != 4 {
		log.Fatal("not an Ed25519 cosignature key")
	}
	hash := sha256.Sum256(append([]byte(parts[0]+"\n"), key...))
	if !bytes.Equal(hash[:4], id) {
		log.Fatal("key id does not belong to the key")
	}
	return parts[0], id, ed25519.PublicKey(key[1:])
}
