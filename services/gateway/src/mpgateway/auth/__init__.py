"""Who asks: from an `Authorization` header to an identity. What an identity may do is the kernel's to say."""
